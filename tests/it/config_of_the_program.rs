//! The configuration as the built program shows it: exit codes, help, ports, address lines.

use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::process::Signal;

use super::support::daemon::Daemon;

const SERVE: [&str; 5] = ["serve", "--box", "http://127.0.0.1:1", "--kind", "opencode"];

fn serve(more: &[&str]) -> Vec<&'static str> {
    let more = more.iter().map(|text| &*text.to_string().leak());
    SERVE.into_iter().chain(more).collect()
}

#[tokio::test]
async fn every_mistake_is_on_stderr_and_the_exit_code_is_two() {
    let line = ["serve", "--listen", "x", "--mode", "hybrid"];
    let ended = Daemon::start(&line, &[("AFTERBAY_POLL_FAST", "soon")]).ended().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    for part in ["5 mistakes", "--listen:", "--mode:", "AFTERBAY_POLL_FAST:", "`box`", "`kind`"] {
        assert!(ended.stderr.contains(part), "{part:?} is not in {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_wrong_command_line_ends_with_two_and_help_with_zero() {
    for (line, code) in [
        (&["serve", "--no-such-flag"][..], 2),
        (&["dance"], 2),
        (&[], 2),
        (&["serve", "--listen", "127.0.0.1:1", "--listen", "127.0.0.1:2"], 2),
        (&["--help"], 0),
        (&["serve", "--help"], 0),
        (&["--version"], 0),
    ] {
        assert_eq!(Daemon::start(line, &[]).ended().await.code, Some(code), "{line:?}");
    }
}

#[tokio::test]
async fn help_names_every_flag_and_shows_no_secret() {
    let secret = [("AFTERBAY_BOX_CREDENTIAL", "Bearer canary"), ("AFTERBAY_LISTEN", "canary")];
    let help = Daemon::start(&["serve", "--help"], &secret).ended().await.stdout;
    for row in afterbay::config::markdown().lines().filter(|line| line.starts_with("| `--")) {
        let flag = row.split('`').nth(1).unwrap();
        assert!(
            help.contains(&format!("{flag} <")) || help.contains(&format!("{flag}[=")),
            "{flag}"
        );
    }
    assert!(help.contains("AFTERBAY_BOX_CREDENTIAL_FILE"));
    assert!(!help.contains("canary") && !help.contains("--box-credential"), "{help}");
}

#[tokio::test]
async fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
    let ended = Daemon::start(&serve(&["--box-credential", "Bearer canary"]), &[]).ended().await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("AFTERBAY_BOX_CREDENTIAL_FILE"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
}

#[tokio::test]
async fn port_zero_is_resolved_in_the_address_lines_and_a_signal_ends_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let line = serve(&["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        let mut daemon = Daemon::start(&line, &[]);
        let (clients, operators) = daemon.addresses().await;
        assert!(clients.port() != 0 && operators.port() != 0 && clients != operators);
        for address in [clients, operators] {
            TcpStream::connect(address).expect("somebody listens");
        }
        daemon.signal(signal);
        assert_eq!(daemon.exit().await.code(), Some(0));
        assert!(TcpStream::connect(clients).is_err(), "nobody listens any more");
    }
}

#[tokio::test]
async fn a_taken_default_admin_port_gives_way_and_a_given_one_does_not() {
    let usual: SocketAddr = afterbay::limits::ADMIN.parse().unwrap();
    // If the bind fails, somebody else has it, which is just as well.
    let _taken = TcpListener::bind(usual);
    let mut daemon = Daemon::start(&serve(&["--listen", "127.0.0.1:0"]), &[]);
    let (_, operators) = daemon.addresses().await;
    assert!(operators.ip().is_loopback() && operators != usual, "{operators}");

    let given = serve(&["--listen", "127.0.0.1:0", "--admin", afterbay::limits::ADMIN]);
    let ended = Daemon::start(&given, &[]).ended().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains(afterbay::limits::ADMIN), "{}", ended.stderr);
}

#[tokio::test]
async fn the_clients_variable_turns_the_log_off_with_a_warning() {
    let line = serve(&["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let mut daemon = Daemon::start(&line, &[("SANDBOX_STREAMING", "sse")]);
    daemon.addresses().await;
    daemon.signal(Signal::TERM);
    let stderr = daemon.ended().await.stderr;
    assert!(stderr.contains("WARN") && stderr.contains("SANDBOX_STREAMING=sse"), "{stderr}");
}

#[tokio::test]
async fn log_lines_can_be_json_and_quiet() {
    let line = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json"];
    let mut daemon = Daemon::start(&serve(&line), &[("AFTERBAY_LOG_LEVEL", "info")]);
    daemon.addresses().await;
    daemon.signal(Signal::TERM);
    let stderr = daemon.ended().await.stderr;
    assert!(stderr.lines().count() > 0);
    for line in stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "INFO");
    }
    let mut daemon = Daemon::start(&serve(&line), &[("AFTERBAY_LOG_LEVEL", "error")]);
    daemon.addresses().await;
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await.stderr, "");
}
