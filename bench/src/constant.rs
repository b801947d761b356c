//! The limit: an actix handler that answers constant bytes. Status, headers and body are those of an answer that was
//! recorded, so it sends what the server sends, and does nothing else.

use std::io::Read;
use std::net::TcpListener;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::Context;

use crate::recording::Recording;

/// The parts of the answer, ready to be sent; copying it copies no bytes.
#[derive(Clone)]
struct Constant {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

/// Serves the answer that is recorded in the standard input at the path `args[1]`, with `args[0]` workers.
pub(crate) fn serve(args: &[String]) -> anyhow::Result<()> {
    let workers: usize = args.first().and_then(|n| n.parse().ok()).context("read the arguments")?;
    let path = args.get(1).context("read the arguments")?.clone();
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).context("read the answer to give")?;
    let constant = Constant::of(Recording::read(&bytes)?.context("read the answer to give: it is cut")?)?;
    let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
    println!("listening on http://{}", listener.local_addr()?);
    actix_web::rt::System::new().block_on(async move {
        HttpServer::new(move || {
            let constant = constant.clone();
            App::new().route(&path, web::get().to(move || std::future::ready(constant.answer())))
        })
        .workers(workers)
        .listen(listener)?
        .run()
        .await
    })?;
    Ok(())
}

impl Constant {
    fn of(recording: Recording) -> anyhow::Result<Self> {
        let headers = recording
            .headers
            .iter()
            .map(|(name, value)| Ok((HeaderName::try_from(name.as_str())?, HeaderValue::try_from(value.as_str())?)));
        Ok(Self {
            status: StatusCode::from_u16(recording.status)?,
            headers: headers.collect::<anyhow::Result<_>>()?,
            body: Bytes::from(recording.body),
        })
    }

    fn answer(&self) -> HttpResponse {
        let mut response = HttpResponse::with_body(self.status, self.body.clone());
        let headers = response.headers_mut();
        for (name, value) in &self.headers {
            headers.append(name.clone(), value.clone());
        }
        response.map_into_boxed_body()
    }
}
