//! The address policy, on real connections of both clients: where it refuses, nobody is asked.

use afterbay::upstream::connect::Connect;
use afterbay::upstream::reach::Reach;
use afterbay::upstream::trust::Trust;

use super::super::raw::RawBox;
use super::super::support::scripted_box::ScriptedBox;
use super::Ways;

fn public(allowed: &[&str]) -> Connect {
    let allowed = allowed.iter().map(|network| network.parse().expect(network)).collect();
    Connect::new(Trust::none(), Reach::Any).reaching(Reach::Public { allowed })
}

/// Ways by which a URL may lead into this machine or the networks around it.
const INWARD: [&str; 22] = [
    "localhost",
    "LocalHost",
    "127.0.0.1",
    "127.255.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::1]",
    "0.0.0.0",
    "[::]",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "10.0.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "255.255.255.255",
    // Old ways to write 127.0.0.1, which resolvers take.
    "127.1",
    "2130706433",
    "0x7f000001",
];

#[tokio::test]
async fn no_way_leads_inward_however_the_address_is_written() {
    let raw_box = RawBox::listen().await;
    for host in INWARD {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{}", raw_box.addr.port());
            let ways = Ways::to(&url, &public(&[])).await;
            ways.are_closed("the address policy refuses", host).await;
        }
    }
    assert!(raw_box.is_untouched().await);
}

#[tokio::test]
async fn an_allowed_network_is_reached_by_address_and_by_name() {
    let scripted = ScriptedBox::start().await;
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1"] {
        let url = format!("http://{host}:{}", scripted.address().port());
        for connect in [public(&["127.0.0.0/8"]), Connect::default()] {
            let ways = Ways::to(&url, &connect).await;
            assert_eq!(ways.called().await.expect(host), 200, "{host}");
            assert_eq!(ways.passed().await.head.one("x-afterbay-error"), None, "{host}");
        }
        let elsewhere = Ways::to(&url, &public(&["127.0.0.0/32", "::1"])).await;
        elsewhere.are_closed("", "canary").await;
    }
}
