//! Clients that send one request again and again while a scenario does something to nginx.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::Outcome;
use crate::http::{Connection, Request, Response};
use crate::wait::{PATIENCE, until};

/// What came of a load so far. Shared by the clients and the scenario.
#[derive(Debug, Default)]
pub struct Tally {
    good: AtomicU64,
    /// Answers that are not what was asked for.
    wrong: Mutex<Vec<String>>,
    /// Requests without an answer: refused, reset or cut connections.
    lost: Mutex<Vec<String>>,
}

fn list(texts: &Mutex<Vec<String>>) -> Vec<String> {
    texts.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

impl Tally {
    /// Answers with the status and body that were asked for.
    pub fn good(&self) -> u64 {
        self.good.load(Ordering::Relaxed)
    }

    /// Other answers, as text.
    pub fn wrong(&self) -> Vec<String> {
        list(&self.wrong)
    }

    /// The errors of requests that were not answered.
    pub fn lost(&self) -> Vec<String> {
        list(&self.lost)
    }

    /// Waits for so many good answers more.
    pub fn wait_for(&self, more: u64) -> Outcome {
        let wanted = self.good() + more;
        until(PATIENCE, "more good answers", || (self.good() >= wanted).then_some(())).map_err(
            |error| format!("{error}, wrong: {:?}, lost: {:?}", self.wrong(), self.lost()).into(),
        )
    }

    fn note(&self, answer: Outcome<Response>, expected: &str) {
        let noted = match answer {
            Ok(response) if response.status == 200 && response.text().contains(expected) => {
                self.good.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Ok(response) => (&self.wrong, format!("{}{}", response.head, response.text())),
            Err(error) => (&self.lost, error.to_string()),
        };
        noted.0.lock().unwrap_or_else(PoisonError::into_inner).push(noted.1);
    }
}

/// A load: each request on a connection of its own, for on a kept one nginx itself may close while a request is on its way.
pub struct Load<'a> {
    /// Where it goes.
    pub address: SocketAddr,
    /// How many clients send at a time.
    pub clients: usize,
    /// What is sent.
    pub request: &'a Request,
    /// What a good answer's body contains.
    pub expected: &'a str,
}

impl Load<'_> {
    fn send_until(&self, stop: &AtomicBool, tally: &Tally) {
        let request = self.request.clone().close();
        while !stop.load(Ordering::Relaxed) {
            let answer = Connection::open(self.address, PATIENCE)
                .and_then(|mut connection| connection.request(&request));
            tally.note(answer, self.expected);
        }
    }
}

/// Runs `meanwhile` under all of the loads, which end with it; it gets a tally for each.
pub fn under_load(
    loads: &[Load<'_>],
    meanwhile: impl FnOnce(&[Tally]) -> Outcome,
) -> Outcome<Vec<Tally>> {
    let tallies: Vec<Tally> = loads.iter().map(|_| Tally::default()).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (load, tally) in loads.iter().zip(&tallies) {
            for _ in 0..load.clients {
                scope.spawn(|| load.send_until(&stop, tally));
            }
        }
        let done = meanwhile(&tallies);
        stop.store(true, Ordering::Relaxed);
        done
    })?;
    Ok(tallies)
}
