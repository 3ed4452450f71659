//! One connection: request after request, with the faults of its listener.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::BytesMut;
use serde_json::json;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

use crate::double::Double;
use crate::functions::InFlight;
use crate::http1::{ReadError, Request, read_request};
use crate::response::{Delivery, End, Response, Wait, reason};
use crate::site::{Mode, Site};

/// A stream over TCP whose socket can be reached.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Transport for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Transport for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Makes the close that follows an RST.
fn reset_on_close(socket: &impl Transport) {
    let _ = SockRef::from(socket.tcp()).set_linger(Some(Duration::ZERO));
}

/// Returns when the mode cuts established connections.
pub(crate) async fn cut(mode: &mut watch::Receiver<Mode>) {
    if mode.wait_for(|m| *m == Mode::Down { keep_existing: false }).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Returns when the peer has closed; what it sends meanwhile is kept for the next request.
async fn hangup<S: Transport>(socket: &mut S, buffer: &mut BytesMut) {
    const MAX_AHEAD_BYTES: usize = 1 << 20;
    while buffer.len() < MAX_AHEAD_BYTES {
        if !matches!(socket.read_buf(buffer).await, Ok(1..)) {
            return;
        }
    }
    std::future::pending::<()>().await;
}

async fn idle(timeout_ms: u64) {
    match timeout_ms {
        0 => std::future::pending().await,
        ms => tokio::time::sleep(Duration::from_millis(ms)).await,
    }
}

/// Serves the requests of a connection until it ends.
pub(crate) async fn serve<S: Transport>(site: &Site, double: &Double, mut socket: S) {
    let mut mode = site.mode.subscribe();
    let mut buffer = BytesMut::with_capacity(16 * 1024);
    let mut served = 0;
    loop {
        let idle_timeout_ms = site.idle_timeout_ms.load(Relaxed);
        let read = tokio::select! {
            biased;
            read = read_request(&mut socket, &mut buffer) => read,
            () = cut(&mut mode) => return reset_on_close(&socket),
            () = idle(idle_timeout_ms) => return drop(socket.shutdown().await),
        };
        let mut request = match read {
            Ok(request) => request,
            Err(ReadError::Gone) => return,
            Err(ReadError::Refused(status)) => return refuse(socket, double, status).await,
        };
        site.requests.fetch_add(1, Relaxed);
        served += 1;
        let last = served == site.close_after_requests.load(Relaxed);
        let silent = last && site.silent_close.load(Relaxed);
        request.keep_alive &= !last || silent;
        let closes = last || !request.keep_alive;

        let mut watcher = mode.clone();
        let end = tokio::select! {
            biased;
            end = reply(site, double, request, (&mut socket, &mut buffer), &mut mode) => end,
            () = cut(&mut watcher) => End::Reset,
        };
        match end {
            End::KeepAlive if !closes => {}
            End::Reset => return reset_on_close(&socket),
            End::Fin => return,
            End::KeepAlive | End::Close => return close(socket).await,
        }
    }
}

/// Answers one request and returns what becomes of the connection.
async fn reply<S: Transport>(
    site: &Site,
    double: &Double,
    request: Request,
    (socket, buffer): (&mut S, &mut BytesMut),
    mode: &mut watch::Receiver<Mode>,
) -> End {
    let now = *mode.borrow();
    let pause = async {
        match now {
            Mode::Slow(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Mode::Hang => drop(mode.wait_for(|m| *m != Mode::Hang).await),
            _ => {}
        }
    };
    tokio::select! {
        biased;
        () = pause => {}
        () = hangup(socket, buffer) => return End::Reset,
    }
    let delivery = match now {
        Mode::Reset => return End::Reset,
        Mode::Error(status) => {
            let body = json!({"message": "the double was told to fail"});
            Response::json(status, &body).deliver(&request, double.clock.now_ms())
        }
        _ => tokio::select! {
            biased;
            delivery = double.handle(site, request) => delivery,
            () = hangup(socket, buffer) => return End::Reset,
        },
    };
    deliver(delivery, socket, buffer).await
}

async fn deliver<S: Transport>(delivery: Delivery, socket: &mut S, buffer: &mut BytesMut) -> End {
    let Delivery { wait, segments, end, in_flight } = delivery;
    tokio::select! {
        biased;
        () = wait_for(wait, in_flight.as_ref()) => {}
        () = hangup(socket, buffer) => return End::Reset,
    }
    let mut has_begun = false;
    for segment in segments {
        if segment.delay_ms > 0 {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(segment.delay_ms)) => {}
                () = hangup(socket, buffer) => return End::Reset,
            }
        }
        if let Some(in_flight) =
            in_flight.as_ref().filter(|_| !std::mem::replace(&mut has_begun, true))
        {
            in_flight.begin();
        }
        if socket.write_all(&segment.bytes).await.is_err() || socket.flush().await.is_err() {
            return End::Reset;
        }
    }
    if let Some(in_flight) = in_flight {
        in_flight.done();
    }
    end
}

async fn wait_for(wait: Wait, in_flight: Option<&InFlight>) {
    match wait {
        Wait::None => {}
        Wait::Millis(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Wait::Forever => std::future::pending().await,
        Wait::Held(gate) => {
            let _held = in_flight.map(InFlight::hold);
            if let Ok(permit) = gate.acquire().await {
                permit.forget();
            }
        }
    }
}

async fn refuse<S: Transport>(mut socket: S, double: &Double, status: u16) {
    let request = Request::default();
    let response = Response::json(status, &json!({"message": reason(status)}));
    for segment in response.encode(&request, double.clock.now_ms()) {
        let _ = socket.write_all(&segment.bytes).await;
    }
    close(socket).await;
}

/// Closes in good order: what the peer still sends is read for a while, so that no RST overtakes the reply.
async fn close<S: Transport>(mut socket: S) {
    const LINGER: Duration = Duration::from_secs(1);
    let _ = socket.shutdown().await;
    let mut rest = BytesMut::with_capacity(4096);
    let drain = async {
        while matches!(socket.read_buf(&mut rest).await, Ok(1..)) {
            rest.clear();
        }
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
}
