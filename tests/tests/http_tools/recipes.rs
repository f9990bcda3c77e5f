//! The recipes of docs/operator/http.md.

use crate::{recipe, run, told, tool};
use m2_proto::api::v1::AccessScope;
use m2_tests::gateway::{Gateway, bearer};
use m2_tests::harness::Binaries;
use m2_tests::scenario::Pair;
use m2_tests::skip::skip;
use serde_json::json;
use std::env;
use tokio::process::Command;

const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn apprise_sends_through_its_plug_in() {
    let Some(mut apprise) = tool("apprise") else {
        return;
    };
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let gateway = Gateway::start(&pair.alice, &[]).await;
    let header = bearer(&alice, "apprise", &[AccessScope::Send]).await;
    let token = header.rsplit(' ').next().unwrap();
    let place = gateway.url("").replace("http://", "");
    apprise
        .arg("--plugin-path")
        .arg(recipe("apprise_m2.py"))
        .args(["--title", "Nightly", "--body", "Grüße & <done>"])
        .arg(format!("m2://{token}@{place}/bob"));
    let sent = run(&mut apprise).await;
    assert!(sent.status.success(), "{}", told(&sent));
    bob.await_text("alice", "Nightly\nGrüße & <done>")
        .await
        .unwrap();
    let mut apprise = tool("apprise").unwrap();
    apprise
        .arg("--plugin-path")
        .arg(recipe("apprise_m2.py"))
        .args(["--body", "x"])
        .arg(format!("m2://{token}@{place}/carol"));
    let refused = run(&mut apprise).await;
    assert!(!refused.status.success(), "the token is limited to bob");
    assert!(told(&refused).contains("NOT_ALLOWED"), "{}", told(&refused));
}

/// The body is the example of Grafana's documentation of webhook contact points, shortened.
#[tokio::test]
async fn grafana_posts_its_title_and_message() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let gateway = Gateway::start(&pair.alice, &[]).await;
    let token = bearer(&alice, "grafana", &[AccessScope::Send]).await;
    let message = "**Firing**\n\nLabels:\n - alertname = T2\n - team = blue";
    let body = json!({
        "receiver": "My Super Webhook",
        "status": "firing",
        "orgId": 1,
        "alerts": [{
            "status": "firing",
            "labels": {"alertname": "High memory usage", "team": "blue", "zone": "us-1"},
            "annotations": {"summary": "This alert was triggered for zone us-1"},
            "startsAt": "2021-10-12T09:51:03.157076+02:00",
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": "c6eadffa33fcdf37",
            "values": {"B": 44.23943737541908, "C": 1},
        }],
        "groupLabels": {},
        "commonLabels": {"team": "blue"},
        "commonAnnotations": {},
        "externalURL": "https://play.grafana.org/",
        "version": "1",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "title": "[FIRING:2]  (blue)",
        "state": "alerting",
        "message": message,
    });
    let post = "POST /v1/contacts/bob/messages?text=/title&text=/message";
    let sent = gateway
        .request(post, &[&token, JSON], &body.to_string())
        .await;
    assert_eq!(sent.status, 202, "{}", sent.body);
    let text = format!("[FIRING:2]  (blue)\n{message}");
    bob.await_text("alice", &text).await.unwrap();
    let absent = "POST /v1/contacts/bob/messages?text=/text";
    let refused = gateway
        .request(absent, &[&token, JSON], &body.to_string())
        .await;
    assert_eq!(refused.error(), (400, "INVALID_ARGUMENT".to_owned()));
}

/// The body has the three fields that Uptime Kuma's webhook posts; a test of the notification has no monitor.
#[tokio::test]
async fn uptime_kuma_posts_its_message() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let gateway = Gateway::start(&pair.alice, &[]).await;
    let token = bearer(&alice, "kuma", &[AccessScope::Send]).await;
    let post = "POST /v1/contacts/bob/messages?text=/msg";
    let down = "[shop] [🔴 Down] connect ECONNREFUSED 192.0.2.7:443";
    let bodies = [
        json!({"heartbeat": null, "monitor": null, "msg": "M2 Testing"}),
        json!({
            "heartbeat": {"monitorID": 3, "status": 0, "msg": "connect ECONNREFUSED", "important": true},
            "monitor": {"id": 3, "name": "shop", "url": "https://shop.example", "type": "http"},
            "msg": down,
        }),
    ];
    for body in bodies {
        let sent = gateway
            .request(post, &[&token, JSON], &body.to_string())
            .await;
        assert_eq!(sent.status, 202, "{}", sent.body);
    }
    bob.await_text("alice", down).await.unwrap();
    assert_eq!(bob.received("alice").await.unwrap(), ["M2 Testing", down]);
}

#[tokio::test]
async fn restic_reports_success_and_failure() {
    let found = Command::new("restic").arg("version").output().await;
    if !found.is_ok_and(|run| run.status.success()) {
        return skip("restic is not installed");
    }
    let pair = Pair::start().await.unwrap();
    let (_, bob) = pair.apis().await.unwrap();
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("file"), "content").unwrap();
    let programs = Binaries::get().unwrap().m2.parent().unwrap().to_owned();
    let path = env::join_paths(
        std::iter::once(programs).chain(env::split_paths(&env::var_os("PATH").unwrap())),
    );
    let path = path.unwrap();
    for (arguments, expected) in [
        (&["init"][..], "restic init: done"),
        (&["backup", "file"], "restic backup: done"),
        (
            &["backup", "absent"],
            "restic backup: FAILED with exit code 1",
        ),
    ] {
        let mut script = Command::new(recipe("restic.sh"));
        script
            .arg("bob")
            .args(arguments)
            .current_dir(place.path())
            .env("PATH", &path)
            .env("HOME", place.path())
            .env("M2_SOCKET", pair.alice.socket())
            .env("RESTIC_REPOSITORY", place.path().join("repository"))
            .env("RESTIC_PASSWORD", "test");
        let output = run(&mut script).await;
        assert_eq!(
            output.status.success(),
            !expected.contains("FAILED"),
            "{}",
            told(&output)
        );
        m2_tests::scenario::eventually(expected, async || {
            let received = bob.received("alice").await?;
            Ok(received
                .iter()
                .any(|text| text.starts_with(expected))
                .then_some(()))
        })
        .await
        .unwrap();
    }
}
