# Two stages: a static build on Alpine, and an image with the program, the certificate authorities and two
# empty folders, that runs as nobody in particular. There is no shell in it.
#
#   docker build -t afterbay .
#   docker run -p 8788:8788 -v afterbay:/var/lib/afterbay \
#     -e AFTERBAY_BOX=http://box:4096 -e AFTERBAY_KIND=opencode \
#     -e AFTERBAY_BOX_CREDENTIAL_FILE=/run/secrets/box ... afterbay
#
# In a container afterbay listens beyond loopback. It then refuses to start over a box without a
# credential unless it is told that this is meant (AFTERBAY_OPEN=true).

FROM rust:1.95-alpine AS build
RUN apk add --no-cache build-base ca-certificates
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src ./src
RUN cargo build --release --locked --bin afterbay
# With a library to load it could not start where there is none.
RUN ! readelf -d target/release/afterbay | grep NEEDED
RUN install -D -m 0755 target/release/afterbay /out/usr/local/bin/afterbay \
    && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt \
    && install -d -m 1777 /out/tmp \
    && install -d -m 0700 /owned/var/lib/afterbay

FROM scratch
COPY --from=build /out /
COPY --from=build --chown=10001:10001 /owned /
USER 10001:10001
ENV AFTERBAY_LISTEN=0.0.0.0:8788 \
    AFTERBAY_ADMIN=0.0.0.0:9788 \
    AFTERBAY_DATA_DIR=/var/lib/afterbay \
    AFTERBAY_LOG_FORMAT=json
VOLUME /var/lib/afterbay
EXPOSE 8788 9788
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["/usr/local/bin/afterbay", "health"]
# Afterbay stops on SIGTERM by itself, within 8 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/afterbay"]
CMD ["serve"]
