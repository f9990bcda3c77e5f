//! A contact that causes acknowledgements and does not read them.

use crate::forge::{join, open, seal, text};
use crate::scene::Scene;
use m2_net::session::{CloseCode, Ended};
use m2_tests::hostile::{Caller, identity};
use m2_tests::scenario::PATIENCE;

/// The acknowledgements of this number of repeats exceed the buffers of QUIC and of the daemon many
/// times.
const REPEATS: usize = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_reads_its_acknowledgements_loses_the_session() {
    let scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let session = join(&scene, &carol, "carol").await;
    let mut epoch = open(&session, carol.identity(), 1);
    let sealed = seal(&mut epoch, 1, [1; 16], text("again and again"));
    for _ in 0..REPEATS {
        if session.send_frame(sealed.clone()).await.is_err() {
            break;
        }
    }
    let ended = tokio::time::timeout(PATIENCE, session.closed()).await;
    assert_eq!(ended, Ok(Ended::ByPeer(CloseCode::Misbehaved as u64)));
    scene.counted("NOT_READING", 1).await;
    scene.holds().await;
}
