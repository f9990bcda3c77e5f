//! Python's grpcio, if it is installed, with its default options.

use m2_proto::api::v1::{DaemonState, GetStatusResponse};
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::PATIENCE;
use m2_tests::skip::skip;
use prost::Message as _;
use std::ffi::OsString;
use tokio::process::Command;
use tokio::time::timeout;

/// Selects another interpreter than `python3`, such as that of a virtual environment.
const INTERPRETER: &str = "M2_TESTS_PYTHON";

/// Calls GetStatus without generated code, and prints the encoded response in hexadecimal.
const SCRIPT: &str = r#"
import sys, grpc
channel = grpc.insecure_channel("unix:" + sys.argv[1])
call = channel.unary_unary("/m2.api.v1.DaemonService/GetStatus",
                           request_serializer=bytes, response_deserializer=bytes)
print(call(b"", timeout=60).hex())
"#;

#[tokio::test]
async fn python_connects_without_an_option() {
    let interpreter = std::env::var_os(INTERPRETER).unwrap_or_else(|| OsString::from("python3"));
    if !has_grpc(&interpreter).await {
        skip(&format!(
            "Python's grpcio is not installed (pip install grpcio); {INTERPRETER} names another \
             interpreter"
        ));
        return;
    }
    let daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let mut python = Command::new(&interpreter);
    python.args(["-c", SCRIPT]).arg(daemon.socket());
    let run = timeout(PATIENCE * 2, python.kill_on_drop(true).output()).await;
    let run = run.unwrap().unwrap();
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{told}");
    let hex = String::from_utf8(run.stdout).unwrap();
    let bytes = data_encoding::HEXLOWER
        .decode(hex.trim().as_bytes())
        .unwrap();
    let status = GetStatusResponse::decode(bytes.as_slice()).unwrap();
    assert_eq!(status.state(), DaemonState::Ready);
}

async fn has_grpc(interpreter: &OsString) -> bool {
    let mut python = Command::new(interpreter);
    let found = python.args(["-c", "import grpc"]).output().await;
    found.is_ok_and(|run| run.status.success())
}
