//! The limit: an actix handler that answers constant bytes, with as many headers and workers as the
//! server's answers have.

use std::net::TcpListener;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use anyhow::Context;

/// Serves `args[0]` workers: a body of `args[1]` bytes at `/`.
pub(crate) fn serve(args: &[String]) -> anyhow::Result<()> {
    let number = |i: usize| args.get(i).context("read the arguments")?.parse::<usize>().context("read the arguments");
    let (workers, bytes) = (number(0)?, number(1)?);
    let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
    println!("listening on http://{}", listener.local_addr()?);
    let body = Bytes::from(vec![b'x'; bytes]);
    actix_web::rt::System::new().block_on(async move {
        HttpServer::new(move || {
            let body = body.clone();
            App::new().route(
                "/",
                web::get().to(move |request: HttpRequest| std::future::ready(answer(request.headers(), &body))),
            )
        })
        .workers(workers)
        .listen(listener)?
        .run()
        .await
    })?;
    Ok(())
}

fn answer(request: &HeaderMap, body: &Bytes) -> HttpResponse {
    let known = request.get(header::IF_NONE_MATCH).is_some();
    let mut response = if known {
        HttpResponse::with_body(StatusCode::NOT_MODIFIED, Bytes::new())
    } else {
        HttpResponse::with_body(StatusCode::OK, body.clone())
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_static("\"0123456789abcdef0123456789abcdef\""));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    headers.insert(header::AGE, HeaderValue::from_static("12"));
    headers.insert(HeaderName::from_static("cache-status"), HeaderValue::from_static("larder; hit"));
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    headers.insert(HeaderName::from_static("x-request-id"), HeaderValue::from_static("0123456789abcdef"));
    if !known {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response.map_into_boxed_body()
}
