//! Calls with bytes that no generated client would send.

use bytes::{Buf as _, BufMut as _};
use m2_tests::scenario::Api;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};

/// Calls `SendMessage` with these bytes as the request.
pub(super) async fn call(api: &Api, request: Vec<u8>) -> Result<Vec<u8>, Status> {
    let mut client = tonic::client::Grpc::new(api.client().channel());
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/m2.api.v1.MessageService/SendMessage");
    let answer = client.unary(Request::new(request), path, Bytes).await?;
    Ok(answer.into_inner())
}

#[derive(Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, input: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; input.remaining()];
        input.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
