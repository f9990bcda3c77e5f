//! TLS and credentials.

use super::{Bridge, Home, Mosquitto, token};
use m2_proto::api::v1::AccessScope;
use m2_tests::scenario::Pair;
use m2_tests::skip::skip;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Makes an authority and a certificate for localhost. Returns false if openssl is not installed.
fn certificates(directory: &Path) -> bool {
    let script = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=Test -keyout ca.key -out ca.pem && \
         openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=Other -keyout other.key -out other.pem && \
         openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr && \
         printf 'subjectAltName=DNS:localhost' > extensions && \
         openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions \
           -out server.pem";
    if Command::new("openssl").arg("version").output().is_err() {
        skip("openssl is not installed");
        return false;
    }
    let made = Command::new("sh")
        .args(["-ec", script])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    true
}

#[tokio::test]
async fn the_broker_must_be_the_right_one() {
    let files = tempfile::tempdir().unwrap();
    if !certificates(files.path()) {
        return;
    }
    let at = |name: &str| files.path().join(name).display().to_string();
    let lines = format!(
        "allow_anonymous true\ncafile {}\ncertfile {}\nkeyfile {}\n",
        at("ca.pem"),
        at("server.pem"),
        at("server.key")
    );
    let Some(broker) = Mosquitto::start(&lines).await else {
        return;
    };
    let pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let token = token(&alice, &[AccessScope::Events]).await;
    let url = format!("mqtts://localhost:{}", broker.port());
    let start = |arguments: &[&str]| Bridge::start(&pair.alice, &url, &token, arguments);
    let bridge = start(&["--ca-file", &at("other.pem")]);
    bridge.await_log("TLS with the broker failed").await;
    assert!(!bridge.log().contains("connected to the broker"));
    drop(bridge);
    let bridge = start(&["--ca-file", &at("ca.pem")]);
    bridge.await_log("connected to the broker").await;
    drop(bridge);
    // The name in the URL counts, too.
    let address = format!("mqtts://127.0.0.1:{}", broker.port());
    let arguments = ["--ca-file", &at("ca.pem")];
    let bridge = Bridge::start(&pair.alice, &address, &token, &arguments);
    bridge.await_log("TLS with the broker failed").await;
}

#[tokio::test]
async fn the_broker_asks_for_the_password() {
    let Some(home) = Home::start().await else {
        return;
    };
    let passwords = home.broker.directory().join("passwords");
    let made = Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(&passwords)
        .args(["m2", "secret"])
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        return skip("mosquitto_passwd is not installed");
    }
    let lines = format!(
        "allow_anonymous false\npassword_file {}\n",
        passwords.display()
    );
    let broker = Mosquitto::start(&lines).await.unwrap();
    let file = home.broker.directory().join("password");
    let start = |password: &str| {
        fs::write(&file, format!("{password}\n")).unwrap();
        let path = file.display().to_string();
        let arguments = [
            "--user",
            "m2",
            "--client",
            "other",
            "--password-file",
            &path,
        ];
        Bridge::start(
            &home.pair.alice,
            &broker.url(),
            home.bridge.token(),
            &arguments,
        )
    };
    let bridge = start("wrong");
    bridge.await_log("the broker refuses the user").await;
    assert!(!bridge.log().contains("wrong"));
    drop(bridge);
    let bridge = start("secret");
    bridge.await_log("connected to the broker").await;
    assert!(!bridge.log().contains("secret"));
}
