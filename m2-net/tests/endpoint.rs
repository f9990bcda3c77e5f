//! Endpoints against each other on loopback (docs/spec/handshake.md, docs/spec/obfuscation.md).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use bytes::Bytes;
use common::*;
use m2_crypto::handshake::{Credential, Peer};
use m2_crypto::obfuscation::Obfuscator;
use m2_crypto::{Circle, Secret, provider};
use m2_net::dial_error::DialError;
use m2_net::endpoint::Endpoint;
use m2_net::session::{CloseCode, Ended, SessionError};
use m2_net::wire::{Ack, Envelope, Malformed, Message, Purpose};
use quinn::ConnectionError;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn envelope(bytes: impl Into<Bytes>) -> Message {
    Message::Envelope(Envelope {
        grant: Bytes::new(),
        sealed: bytes.into(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_talk() {
    let (caller, called) = (endpoint(alice()), endpoint(bob()));
    let (mut dialled, mut accepted) = connect(&caller, &called, address(&called)).await;
    assert_eq!(accepted.peer().id(), Some(&id(&alice())));
    assert_eq!(dialled.peer().id(), Some(&id(&bob())));
    assert!(dialled.dialled() && !accepted.dialled());
    assert!(dialled.clock_skew_ms().unwrap().abs() < 1000);
    assert_eq!(dialled.peer_version(), env!("CARGO_PKG_VERSION"));
    assert_eq!(
        dialled.exporter(b"test", b"context").unwrap(),
        accepted.exporter(b"test", b"context").unwrap()
    );
    assert_ne!(
        dialled.exporter(b"test", b"context").unwrap(),
        dialled.exporter(b"other", b"context").unwrap()
    );
    for length in [1, 1000, 100_000] {
        let there = envelope(vec![1; length]);
        dialled.send_frame(there.clone()).await.unwrap();
        assert_eq!(accepted.recv_frame().await.unwrap(), there);
        let back = envelope(vec![2; length]);
        accepted.send_frame(back.clone()).await.unwrap();
        assert_eq!(dialled.recv_frame().await.unwrap(), back);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_exporter_derives_nothing() {
    let (caller, called) = (endpoint(alice()), endpoint(bob()));
    let (dialled, accepted) = connect(&caller, &called, address(&called)).await;
    dialled.erase_exporter();
    let erased = dialled.exporter(b"test", b"");
    assert!(matches!(erased, Err(SessionError::Erased)), "{erased:?}");
    let by_quinn = dialled
        .connection()
        .export_keying_material(&mut [0; 32], b"test", b"");
    assert!(by_quinn.is_err());
    assert!(accepted.exporter(b"test", b"").is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_frames_keep_their_order_and_finish_delivers_them() {
    let (caller, called) = (endpoint(alice()), endpoint(bob()));
    let (dialled, mut accepted) = connect(&caller, &called, address(&called)).await;
    let (handle, sender, _receiver) = dialled.split();
    let start = Instant::now();
    let sending = tokio::spawn(async move {
        for number in 0..20_000_u32 {
            let sealed = [&number.to_be_bytes()[..], &[0; 1020]].concat();
            sender.send(envelope(sealed)).await.unwrap();
        }
        sender.finish().await;
        handle.close(CloseCode::Done);
    });
    for number in 0..20_000_u32 {
        let Message::Envelope(got) = accepted.recv_frame().await.unwrap() else {
            panic!("an envelope was sent");
        };
        assert_eq!(got.sealed[..4], number.to_be_bytes());
    }
    println!("20,000 frames of 1 KiB in {:?}", start.elapsed());
    sending.await.unwrap();
    assert_eq!(accepted.closed().await, Ended::ByPeer(0));
    assert_eq!(accepted.recv_frame().await, Err(SessionError::Closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_caller_is_not_identified() {
    let (caller, called) = (endpoint(alice()), endpoint(bob()));
    keys_ready(&called).await;
    let dial = caller.dial(address(&called), id(&bob()), Credential::Anonymous);
    let (dialled, accepted) = tokio::join!(dial, called.accept());
    let accepted = accepted.unwrap();
    assert_eq!(*accepted.peer(), Peer::Anonymous);
    // No field of an anonymous session distinguishes it from others.
    assert_eq!(
        (accepted.peer_version(), accepted.clock_skew_ms()),
        ("", None)
    );
    assert_eq!(dialled.unwrap().peer().id(), Some(&id(&bob())));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_know_what_a_session_is_for() {
    let (caller, called) = (endpoint(alice()), endpoint(bob()));
    for purpose in [Purpose::Mailbox, Purpose::Peer] {
        keys_ready(&called).await;
        let credential = Credential::Identity(alice());
        let limit = Duration::from_secs(60);
        let dial = caller.dial_for(address(&called), id(&bob()), credential, purpose, limit);
        let (dialled, accepted) = tokio::join!(dial, called.accept());
        assert_eq!(dialled.unwrap().purpose(), purpose);
        assert_eq!(accepted.unwrap().purpose(), purpose);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impostor_is_detected() {
    let mut impostor = config(carol());
    impostor.impersonating = Some(id(&bob()));
    let (caller, called) = (endpoint(alice()), Endpoint::bind(impostor).unwrap());
    keys_ready(&called).await;
    let credential = Credential::Identity(alice());
    let dial = caller.dial(address(&called), id(&bob()), credential).await;
    let error = dial.unwrap_err();
    assert_eq!(error, DialError::WrongPeer);
    assert_eq!(error.reason(), "WRONG_KEY");
}

/// Dials through a tap and returns how many bytes came back.
async fn bytes_to_failed_dial(called: &Endpoint, circle: Circle, peer: m2_crypto::PeerId) -> usize {
    let tap = Tap::new(address(called)).await;
    let mut config = config(alice());
    config.circle = circle;
    config.limits.handshake = Duration::from_millis(1500);
    let caller = Endpoint::bind(config).unwrap();
    let credential = Credential::Identity(alice());
    let dial = caller.dial(tap.address, peer, credential).await;
    assert_eq!(dial.unwrap_err(), DialError::NoAnswer);
    assert!(!tap.calls().is_empty());
    tap.answers().iter().map(Vec::len).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_does_not_know_the_circle_or_id_gets_no_answer() {
    let mut private = config(bob());
    private.circle = Circle::private("home", &Secret::new([7; 32]));
    let bobs_id = bob().peer_id(private.circle.id());
    let called = Endpoint::bind(private).unwrap();
    let mut bits = [7; 32];
    bits[31] ^= 1;
    let near = Circle::private("home", &Secret::new(bits));
    let home = Circle::private("home", &Secret::new([7; 32]));
    assert_eq!(bytes_to_failed_dial(&called, near, bobs_id).await, 0);
    assert_eq!(bytes_to_failed_dial(&called, home, id(&carol())).await, 0);
    // Under bob's key the datagrams are noise, which is dropped for one reason or another.
    let counters = called.stats().counters.into_iter();
    let dropped = counters.filter(|(name, _)| name.starts_with("DATAGRAM_"));
    assert!(dropped.map(|(_, count)| count).sum::<u64>() >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_truncated_and_altered_datagrams_get_no_answer() {
    let (caller, called) = (endpoint(alice()), endpoint(bob()));
    let tap = Tap::new(address(&called)).await;
    let (dialled, accepted) = connect(&caller, &called, tap.address).await;
    dialled.send_frame(envelope(vec![3; 5000])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let recorded = tap.calls();
    let mut noise = Noise(1);
    let mut hostile = Vec::new();
    for round in 0..3000 {
        let length = noise.below(1500);
        hostile.push(noise.bytes(length));
        let original = &recorded[round % recorded.len()];
        let cut = noise.below(original.len());
        hostile.push(original[..cut].to_vec());
        let mut flipped = original.clone();
        let bit = noise.below(8 * flipped.len());
        flipped[bit / 8] ^= 1 << (bit % 8);
        hostile.push(flipped);
    }
    assert_eq!(bytes_back(address(&called), hostile).await, 0);
    assert_eq!(bytes_back(address(&called), recorded.clone()).await, 0);
    drop((dialled, accepted));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(bytes_back(address(&called), recorded).await, 0, "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_id_without_a_session_provokes_no_reset() {
    let (caller, called) = (endpoint(alice()), endpoint(bob()));
    let tap = Tap::new(address(&called)).await;
    let (dialled, _accepted) = connect(&caller, &called, tap.address).await;
    dialled.send_frame(envelope(vec![3; 5000])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let obfuscator = Obfuscator::of_responder(&Circle::public(), &id(&bob()), provider::default());
    let mut orphans = Vec::new();
    for mut datagram in tap.calls() {
        obfuscator.apply(&mut datagram);
        // The day bits are not authenticated: the id is still recognised, but no connection has it.
        if datagram[0] & 0x80 == 0 {
            datagram[16] ^= 1;
            obfuscator.apply(&mut datagram);
            orphans.push(datagram);
        }
    }
    assert!(!orphans.is_empty());
    assert_eq!(bytes_back(address(&called), orphans).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_first_packet_gets_no_answer_even_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("replay");
    let caller = endpoint(alice());
    let bind = |log: bool| {
        let mut config = config(bob());
        if log {
            let file = m2_net::replay_file::ReplayFile::open(&path).unwrap();
            config.replay_log = Some(Box::new(file));
        }
        Endpoint::bind(config).unwrap()
    };
    let called = bind(true);
    let tap = Tap::new(address(&called)).await;
    let sessions = connect(&caller, &called, tap.address).await;
    let first = tap.calls()[0].clone();
    assert!((1200..=1350).contains(&first.len()));
    let again = || [first.clone()];
    assert_eq!(bytes_back(address(&called), again()).await, 0);
    drop(sessions);
    // Without close and sync, as after a kill.
    drop(called);

    let restarted = bind(true);
    keys_ready(&restarted).await;
    assert_eq!(bytes_back(address(&restarted), again()).await, 0);
    assert_eq!(restarted.stats().counters["DIAL_REPLAYED"], 1);

    let forgetful = bind(false);
    keys_ready(&forgetful).await;
    let answer = bytes_back(address(&forgetful), again()).await;
    assert!(answer > 0, "the packet was one that is answered once");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_callers_prove_their_address_first() {
    let caller = endpoint(alice());
    let mut config = config(bob());
    config.limits.retry_above = 0;
    let called = Endpoint::bind(config).unwrap();
    let tap = Tap::new(address(&called)).await;
    let sessions = connect(&caller, &called, tap.address).await;
    assert_eq!(called.stats().counters["DIAL_RETRIED"], 1);
    // The first packet of the answer to the Retry, with its token, from another address.
    let with_token = tap.calls()[2].clone();
    assert_eq!(bytes_back(address(&called), [with_token]).await, 0);
    drop(sessions);
    // A completed session earns no token.
    let (_dialled, _accepted) = connect(&caller, &called, tap.address).await;
    assert_eq!(called.stats().counters["DIAL_RETRIED"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_concurrent_dials_succeed() {
    let mut config_a = config(alice());
    config_a.key_pool_size = 50;
    let mut config_b = config(bob());
    config_b.key_pool_size = 104;
    let caller = Arc::new(Endpoint::bind(config_a).unwrap());
    let called = Arc::new(Endpoint::bind(config_b).unwrap());
    keys_ready(&caller).await;
    keys_ready(&called).await;
    let to = address(&called);
    let start = Instant::now();
    let dials: Vec<_> = (0..50)
        .map(|_| {
            let caller = Arc::clone(&caller);
            tokio::spawn(async move {
                let credential = Credential::Identity(alice());
                caller.dial(to, id(&bob()), credential).await
            })
        })
        .collect();
    let mut accepted = Vec::new();
    for _ in 0..50 {
        accepted.push(called.accept().await.unwrap());
    }
    let mut dialled = Vec::new();
    for dial in dials {
        dialled.push(dial.await.unwrap().unwrap());
    }
    println!("50 dials in {:?}", start.elapsed());
    println!("{:?}", called.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_callers_do_not_block_others() {
    let mut config_a = config(alice());
    config_a.key_pool_size = 16;
    let mut config_b = config(bob());
    config_b.key_pool_size = 40;
    let caller = Arc::new(Endpoint::bind(config_a).unwrap());
    let called = Endpoint::bind(config_b).unwrap();
    keys_ready(&caller).await;
    keys_ready(&called).await;
    let silent = Tap::answering(address(&called), false).await;
    let to = silent.address;
    let mut unanswered = Vec::new();
    for _ in 0..6 {
        let caller = Arc::clone(&caller);
        unanswered.push(tokio::spawn(async move {
            let _ = caller
                .dial(to, id(&bob()), Credential::Identity(alice()))
                .await;
        }));
    }
    while silent.calls().len() < 6 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let dial = caller.dial(address(&called), id(&bob()), Credential::Identity(alice()));
    dial.await.unwrap();
    assert!(unanswered.iter().all(|dial| !dial.is_finished()));
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_streams_and_frames_share_a_session() {
    const TOTAL: usize = 20 << 20;
    let (caller, called) = (endpoint(alice()), endpoint(bob()));
    let (dialled, mut accepted) = connect(&caller, &called, address(&called)).await;
    let start = Instant::now();
    let (handle, sender, _receiver) = dialled.split();
    let sending = tokio::spawn(async move {
        let mut stream = handle.open_bulk().await.unwrap();
        let block = Bytes::from(vec![0x5a; 256 << 10]);
        for _ in 0..TOTAL / block.len() {
            stream.write_chunk(block.clone()).await.unwrap();
        }
        stream.finish().unwrap();
    });
    let mut bulk = accepted.accept_bulk().await.unwrap();
    sender.send(envelope("beside")).await.unwrap();
    assert_eq!(accepted.recv_frame().await.unwrap(), envelope("beside"));
    let mut received = 0;
    while let Some(chunk) = bulk.read_chunk(1 << 20, true).await.unwrap() {
        assert!(chunk.bytes.iter().all(|byte| *byte == 0x5a));
        received += chunk.bytes.len();
    }
    assert_eq!(received, TOTAL);
    println!("20 MiB in {:?}", start.elapsed());
    sending.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_breaks_the_format_is_disconnected_and_counted() {
    let (caller, called) = (endpoint(alice()), endpoint(bob()));
    let (mut dialled, mut accepted) = connect(&caller, &called, address(&called)).await;
    dialled.send_frame(Message::Acks(vec![])).await.unwrap();
    assert_eq!(
        accepted.recv_frame().await,
        Err(SessionError::Malformed(Malformed::Bounds))
    );
    assert_eq!(
        dialled.closed().await,
        Ended::ByPeer(CloseCode::Misbehaved as u64)
    );
    assert_eq!(dialled.recv_frame().await, Err(SessionError::Closed));
    let reason = dialled.split().0.connection().close_reason();
    let Some(ConnectionError::ApplicationClosed(close)) = reason else {
        panic!("{reason:?}");
    };
    assert!(close.reason.is_empty(), "{close:?}");
    assert_eq!(called.stats().counters["FRAME_MALFORMED"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_endpoint_notifies_its_peers_and_stops_accepting() {
    let (caller, called) = (endpoint(alice()), endpoint(bob()));
    let (dialled, _accepted) = connect(&caller, &called, address(&called)).await;
    let ack = Ack {
        message_id: [1; 16],
        content_hash: [2; 32],
    };
    dialled.send_frame(Message::Acks(vec![ack])).await.unwrap();
    called.close(Duration::from_secs(5)).await;
    assert_eq!(
        dialled.closed().await,
        Ended::ByPeer(CloseCode::ShuttingDown as u64)
    );
    assert!(called.accept().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_position_on_the_wire_is_skewed() {
    let (caller, called) = (endpoint(alice()), endpoint(bob()));
    let mut captured = Vec::new();
    let tap = Tap::new(address(&called)).await;
    let (dialled, mut accepted) = connect(&caller, &called, tap.address).await;
    for number in 0..2000 {
        let message = envelope(vec![0; 1 + number % 300]);
        dialled.send_frame(message).await.unwrap();
        accepted.recv_frame().await.unwrap();
    }
    captured.extend(tap.calls());
    captured.extend(tap.answers());
    println!("{} datagrams", captured.len());
    for from_end in [false, true] {
        for place in 0..48 {
            let values: Vec<u8> = captured
                .iter()
                .filter_map(|datagram| {
                    let place = if from_end {
                        datagram.len().checked_sub(place + 1)?
                    } else {
                        place
                    };
                    datagram.get(place).copied()
                })
                .collect();
            let skew = chi_square(&values);
            // 255 degrees of freedom: mean 255, standard deviation 22.6.
            assert!(
                skew < 400.0,
                "place {place} from the end {from_end}: {skew}"
            );
        }
    }
}

fn chi_square(values: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for value in values {
        counts[usize::from(*value)] += 1;
    }
    let expected = values.len() as f64 / 256.0;
    counts
        .iter()
        .map(|count| (f64::from(*count) - expected).powi(2) / expected)
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn unrequested_streams_and_unread_frames_are_bounded() {
    let (caller, called) = (endpoint(alice()), endpoint(bob()));
    let (dialled, _accepted) = connect(&caller, &called, address(&called)).await;
    let opened = tokio::time::timeout(Duration::from_millis(300), dialled.open_bulk()).await;
    assert!(opened.is_err(), "the frame stream alone is allowed");
    let (_, sender, _receiver) = dialled.split();
    let flood = async {
        for _ in 0..200 {
            sender.send(envelope(vec![0; 100_000])).await.unwrap();
        }
    };
    let flooded = tokio::time::timeout(Duration::from_millis(500), flood).await;
    assert!(
        flooded.is_err(),
        "a peer that does not read stops the sender"
    );
}

/// A small random number generator: the datagrams need variety, not secrecy.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound.max(1)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}
