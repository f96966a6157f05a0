//! Reverse proxies as people run them: nginx and haproxy in front of the daemon, with their defaults
//! except for what a test names.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::super::packages;
use super::super::port;
use super::super::process::Process;
use super::super::wait;

const LIMIT: Duration = Duration::from_secs(30);

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Nginx,
    Haproxy,
}

/// One with its settings: nothing is said of buffering or streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proxy {
    pub(crate) program: Program,
    /// After what silence of the daemon it cuts. nginx has a default, haproxy wants to be told.
    pub(crate) silence: Option<Duration>,
    /// Clients speak HTTP/2 over TLS.
    pub(crate) tls: bool,
    /// It speaks cleartext HTTP/2 to the daemon; haproxy can.
    pub(crate) http2_behind: bool,
    /// Further settings, each with its end mark.
    pub(crate) further: &'static str,
}

impl Proxy {
    /// haproxy holds what it has of a chunked answer for up to 200 ms, unless it is told otherwise.
    pub(crate) const WITHOUT_DELAY: Self =
        Self { further: "option http-no-delay\n", ..Self::plain(Program::Haproxy) };

    /// Both, as plain as they come.
    pub(crate) const PLAIN: [Self; 2] =
        [Self::plain(Program::Nginx), Self::plain(Program::Haproxy)];

    /// Each way of HTTP/2 through them.
    pub(crate) const HTTP2: [Self; 3] = [
        Self { tls: true, ..Self::plain(Program::Nginx) },
        Self { tls: true, ..Self::plain(Program::Haproxy) },
        Self { tls: true, http2_behind: true, ..Self::plain(Program::Haproxy) },
    ];

    pub(crate) const fn plain(program: Program) -> Self {
        Self { program, silence: None, tls: false, http2_behind: false, further: "" }
    }

    fn path(self) -> Option<PathBuf> {
        let name = match self.program {
            Program::Nginx => "nginx",
            Program::Haproxy => "haproxy",
        };
        let places = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];
        let found = places.iter().map(|place| Path::new(place).join(name)).find(|at| at.exists());
        if found.is_none() {
            println!("SKIPPED: {name} is not installed, and only root can install it");
        }
        found
    }

    /// Its configuration file.
    fn told(self, listen: SocketAddr, behind: SocketAddr) -> String {
        match self.program {
            Program::Nginx => self.told_nginx(listen, behind),
            Program::Haproxy => self.told_haproxy(listen, behind),
        }
    }

    fn told_nginx(self, listen: SocketAddr, behind: SocketAddr) -> String {
        let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
        let tls = "ssl http2; ssl_certificate certificate; ssl_certificate_key key";
        let tls = if self.tls { tls } else { "" };
        let silence = self.silence.map(|time| format!("proxy_read_timeout {}s;", time.as_secs()));
        let silence = silence.unwrap_or_default();
        format!(
            "daemon off; pid nginx.pid; error_log stderr; worker_processes 1; {user}\n\
             events {{ worker_connections 256; }}\n\
             http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy;\n\
             fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
             server {{ listen {listen} {tls};\n\
             location / {{ proxy_pass http://{behind}; {silence} {further} }} }} }}\n",
            further = self.further,
        )
    }

    fn told_haproxy(self, listen: SocketAddr, behind: SocketAddr) -> String {
        let silence = self.silence.unwrap_or(LIMIT).as_secs();
        let tls = if self.tls { "ssl crt both alpn h2,http/1.1" } else { "" };
        let http2_behind = if self.http2_behind { "proto h2" } else { "" };
        format!(
            "global\n maxconn 256\n\
             defaults\n mode http\n timeout connect 5s\n\
             timeout client {silence}s\n timeout server {silence}s\n timeout tunnel {silence}s\n\
             {further}\
             frontend clients\n bind {listen} {tls}\n default_backend afterbay\n\
             backend afterbay\n server one {behind} {http2_behind}\n",
            further = self.further,
        )
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.program)?;
        f.write_str(if self.tls { ", HTTP/2 over TLS in front" } else { "" })?;
        f.write_str(if self.http2_behind { ", HTTP/2 behind" } else { "" })?;
        let further = self.further.trim_end();
        if further.is_empty() { Ok(()) } else { write!(f, ", {further}") }
    }
}

/// A proxy in front of the daemon. It comes back to the port that it had.
#[derive(Debug)]
pub(crate) struct Hop {
    /// Where clients connect.
    pub(crate) listen: SocketAddr,
    proxy: Proxy,
    process: Option<Process>,
    program: PathBuf,
    folder: TempDir,
}

impl Hop {
    /// Puts one up; `None` where it is not installed.
    pub(crate) async fn start(proxy: Proxy, behind: SocketAddr) -> Option<Self> {
        let program = proxy.path()?;
        let listen = SocketAddr::from(([127, 0, 0, 1], port::lasting()));
        let folder = tempfile::tempdir().expect("a folder for the proxy");
        fs::write(folder.path().join("told"), proxy.told(listen, behind)).expect("its settings");
        if proxy.tls {
            certify(folder.path());
        }
        let mut hop = Self { listen, proxy, process: None, program, folder };
        hop.restart().await;
        Some(hop)
    }

    /// Ends it and starts it again.
    pub(crate) async fn restart(&mut self) {
        self.process = None;
        let (program, folder) = (self.proxy.program, self.folder.path());
        self.process = Some(Process::start(&self.program, |command| {
            match program {
                Program::Nginx => command.arg("-p").arg(folder).args(["-c", "told"]),
                Program::Haproxy => command.current_dir(folder).args(["-db", "-f", "told"]),
            };
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        }));
        let listen = self.listen;
        let listens = || async move { TcpStream::connect(listen).await.ok() };
        wait::until(LIMIT, "the proxy listens", listens).await;
    }

    /// The certificate that clients are to trust.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate")
    }
}

/// A certificate for this address with its key, and both in one file, as haproxy wants them.
fn certify(folder: &Path) {
    let path = |name: &str| folder.join(name);
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    openssl.args(["-nodes", "-days", "1", "-subj", "/CN=afterbay"]);
    openssl.args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"]).arg(path("key"));
    packages::run(openssl.arg("-out").arg(path("certificate")).stderr(Stdio::null()));
    let [mut both, key] = ["certificate", "key"].map(|name| fs::read(path(name)).expect(name));
    both.extend(key);
    fs::write(path("both"), both).expect("write both");
}
