//! The honest clients of the soak: deals that arrive all the time, and files that are taken back.
//!
//! Every deal that the miner acknowledged must become complete, and every file of a complete deal must come back as it was as long
//! as the deal lives. A deal that was never acknowledged may be refused, with a reason.

use super::steered::text;
use super::Random;
use crate::{bytes, Client, Ended, Running};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Homes, each with an account.
const CLIENTS: usize = 4;
/// Seconds between two deals.
const DEAL_EVERY: (u64, u64) = (8, 32);
/// Deals that are made at once, at most: each is a process.
const MOST_AT_ONCE: usize = 10;
/// Blocks of a deal: some end while the soak goes on.
const DURATION: (u64, u64) = (900, 2700);
/// Bytes of the largest file: a sector's.
const MOST_BYTES: u64 = 2032;
/// Seconds between two retrievals.
const RETRIEVAL_EVERY: (u64, u64) = (10, 40);
/// Blocks before its end in which a deal's file is not asked for any more.
const END_MARGIN: u64 = 120;
/// How long a file may fail to come back, over all tries: kills, a full disk for a minute and what follows it fit.
const BACK_LIMIT: Duration = Duration::from_secs(300);
/// Pause before a command that failed is tried again.
const PAUSE: Duration = Duration::from_secs(5);
/// How long one command may take: what hangs longer is ended and begun again.
const COMMAND_LIMIT: Duration = Duration::from_secs(420);

/// What became of a deal.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Working,
    Complete,
    /// Ended honestly: the miner had not taken it.
    Refused,
    Lost,
}

struct Deal {
    number: u64,
    client: usize,
    size: usize,
    duration: u64,
    /// When the last command for it began, or when the next one is due.
    since: Instant,
    running: Option<Running>,
    state: State,
    /// What the client calls it.
    id: Option<String>,
    /// The height before which it does not end.
    lives_until: u64,
}

struct Retrieval {
    deal: usize,
    path: PathBuf,
    began: Instant,
    since: Instant,
    running: Option<Running>,
}

/// How many came to what.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub deals: usize,
    pub working: usize,
    pub complete: usize,
    pub refused: usize,
    pub lost: usize,
    pub retrieved: usize,
    /// Commands that failed and were begun again.
    pub retries: usize,
}

/// See the module.
pub(super) struct Clients {
    clients: Vec<Client>,
    deals: Vec<Deal>,
    retrievals: Vec<Retrieval>,
    next_deal: Instant,
    next_retrieval: Instant,
    retrieved: usize,
    retries: usize,
    /// Why deals were refused, and how many.
    pub refusals: BTreeMap<String, usize>,
}

impl Clients {
    pub fn new(chain: &str) -> Self {
        let now = Instant::now();
        Self {
            clients: (0..CLIENTS).map(|_| Client::new(chain)).collect(),
            deals: Vec::new(),
            retrievals: Vec::new(),
            next_deal: now,
            next_retrieval: now,
            retrieved: 0,
            retries: 0,
            refusals: BTreeMap::new(),
        }
    }

    pub fn counts(&self) -> Counts {
        let of = |state: State| self.deals.iter().filter(|deal| deal.state == state).count();
        Counts {
            deals: self.deals.len(),
            working: of(State::Working),
            complete: of(State::Complete),
            refused: of(State::Refused),
            lost: of(State::Lost),
            retrieved: self.retrieved,
            retries: self.retries,
        }
    }

    /// Whether nothing is under way.
    pub fn rest(&self) -> bool {
        self.retrievals.is_empty() && self.deals.iter().all(|deal| deal.state != State::Working)
    }

    /// The ids of the complete deals that live at this height.
    pub fn alive(&self, height: u64) -> Vec<(usize, String)> {
        let alive = self.deals.iter().filter(|deal| deal.is_alive(height));
        alive.filter_map(|deal| Some((deal.client, deal.id.clone()?))).collect()
    }

    /// Does what is due; gives what was broken.
    pub fn turn(&mut self, height: u64, arriving: bool, random: &mut Random) -> Vec<String> {
        let now = Instant::now();
        if arriving && now >= self.next_deal {
            self.next_deal = now + random.seconds(DEAL_EVERY);
            if self.deals.iter().filter(|deal| deal.running.is_some()).count() < MOST_AT_ONCE {
                self.propose(height, random);
            }
        }
        if arriving && now >= self.next_retrieval {
            self.next_retrieval = now + random.seconds(RETRIEVAL_EVERY);
            self.retrieve(height, random);
        }
        let mut broken = Vec::new();
        for place in 0..self.deals.len() {
            broken.extend(self.see_to_deal(place, height));
        }
        broken.extend(self.see_to_retrievals(height));
        broken
    }

    fn propose(&mut self, height: u64, random: &mut Random) {
        let number = self.deals.len() as u64;
        // As many small as large ones, by their digits.
        let most = MOST_BYTES >> random.below(11);
        let size = 1 + random.below(most.max(1)) as usize;
        let mut deal = Deal {
            number,
            client: random.below(CLIENTS as u64) as usize,
            size,
            duration: random.between(DURATION),
            since: Instant::now(),
            running: None,
            state: State::Working,
            id: None,
            lives_until: 0,
        };
        deal.lives_until = height + deal.duration;
        self.clients[deal.client].file(&deal.file(), &deal.bytes());
        deal.store(&self.clients[deal.client]);
        self.deals.push(deal);
    }

    /// Goes on with one deal.
    fn see_to_deal(&mut self, place: usize, height: u64) -> Option<String> {
        let deal = &mut self.deals[place];
        if deal.state != State::Working {
            return None;
        }
        let Some(running) = &mut deal.running else {
            return match deal.since <= Instant::now() {
                true => self.begin_again(place, height),
                false => None,
            };
        };
        let hangs = deal.since.elapsed() > COMMAND_LIMIT;
        if !running.has_ended() && !hangs {
            return None;
        }
        let ended = deal.running.take().filter(|_| !hangs).map(Running::end);
        let shown = ended.and_then(|ended: Ended| ended.json().ok());
        if let Some(id) = shown.as_ref().and_then(|shown| shown["deal"].as_str()) {
            let is_done = shown
                .as_ref()
                .is_some_and(|shown| shown["state"] == "complete" || shown["state"] == "proven");
            if is_done {
                (deal.id, deal.state) = (Some(id.to_owned()), State::Complete);
                return None;
            }
        }
        self.retries += 1;
        deal.since = Instant::now() + PAUSE;
        None
    }

    /// After a command that failed: looks into the client's book how the deal stands, and goes on with it.
    fn begin_again(&mut self, place: usize, height: u64) -> Option<String> {
        let deal = &mut self.deals[place];
        let client = &self.clients[deal.client];
        let path = client.path(&deal.file());
        let listed = client.json(&["deals"]).unwrap_or_default();
        let found = listed.as_array().and_then(|all| {
            let mut own = all
                .iter()
                .filter(|one| one["file"].as_str().map(PathBuf::from) == Some(path.clone()));
            own.next().cloned()
        });
        let Some(found) = found else {
            deal.lives_until = height + deal.duration;
            deal.store(client);
            return None;
        };
        let id = found["deal"].as_str().unwrap_or_default().to_owned();
        if found["state"] != "failed" {
            let arguments = ["resume", &id, "--until", "complete", "--json"];
            deal.running = Some(client.start(&arguments));
            deal.since = Instant::now();
            return None;
        }
        let shown = client.json(&["show", &id]).unwrap_or_default();
        let reason = shown["reason"].as_str().unwrap_or("without a reason").to_owned();
        if was_acknowledged(&shown) {
            deal.state = State::Lost;
            return Some(format!("deal {} was acknowledged and failed: {reason}", deal.number));
        }
        deal.state = State::Refused;
        *self.refusals.entry(reason).or_default() += 1;
        None
    }

    fn retrieve(&mut self, height: u64, random: &mut Random) {
        let alive: Vec<usize> = (0..self.deals.len())
            .filter(|place| self.deals[*place].is_alive(height))
            .collect();
        if alive.is_empty() || !self.retrievals.is_empty() {
            return;
        }
        let deal = alive[random.below(alive.len() as u64) as usize];
        let path = self.clients[self.deals[deal].client].path("back");
        let now = Instant::now();
        self.retrievals.push(Retrieval {
            deal,
            path,
            began: now,
            since: now,
            running: None,
        });
    }

    fn see_to_retrievals(&mut self, height: u64) -> Vec<String> {
        let mut broken = Vec::new();
        let retrievals = std::mem::take(&mut self.retrievals);
        for mut retrieval in retrievals {
            match self.see_to_retrieval(&mut retrieval, height) {
                Ok(true) => self.retrieved += 1,
                Ok(false) => self.retrievals.push(retrieval),
                Err(reason) => {
                    self.deals[retrieval.deal].state = State::Lost;
                    broken.push(format!("deal {}: {reason}", self.deals[retrieval.deal].number));
                }
            }
        }
        broken
    }

    /// Whether the file is back, or is not owed any more.
    fn see_to_retrieval(&mut self, retrieval: &mut Retrieval, height: u64) -> Result<bool, String> {
        let deal = &self.deals[retrieval.deal];
        let Some(running) = &mut retrieval.running else {
            if retrieval.since <= Instant::now() {
                let path = retrieval.path.to_str().unwrap_or_default();
                let id = deal.id.as_deref().unwrap_or_default();
                retrieval.running = Some(self.clients[deal.client].start(&["retrieve", id, "-o", path]));
            }
            return Ok(false);
        };
        let hangs = retrieval.began.elapsed() > BACK_LIMIT;
        if !running.has_ended() && !hangs {
            return Ok(false);
        }
        let ended = retrieval.running.take().filter(|_| !hangs).map(Running::end);
        if ended.as_ref().is_some_and(|ended| ended.status.success()) {
            let back = std::fs::read(&retrieval.path).map_err(text)?;
            return match back == deal.bytes() {
                true => Ok(true),
                false => Err("what came back is another file".to_owned()),
            };
        }
        if !deal.is_alive(height) {
            return Ok(true);
        }
        let said = ended.map_or("it hangs".to_owned(), |ended| ended.stderr);
        if retrieval.began.elapsed() > BACK_LIMIT {
            return Err(format!("its file did not come back within {BACK_LIMIT:?}: {said}"));
        }
        self.retries += 1;
        retrieval.since = Instant::now() + PAUSE;
        Ok(false)
    }
}

/// Whether the miner had said that it takes the deal.
fn was_acknowledged(shown: &Value) -> bool {
    let steps = shown["steps"].as_array().into_iter().flatten();
    let mut accepted = steps.filter(|step| step["step"] == "accepted");
    accepted.any(|step| step["at"].is_number())
}

impl Deal {
    fn file(&self) -> String {
        format!("file-{}", self.number)
    }

    fn bytes(&self) -> Vec<u8> {
        bytes(self.number + 1000, self.size)
    }

    fn is_alive(&self, height: u64) -> bool {
        self.state == State::Complete && height + END_MARGIN < self.lives_until
    }

    fn store(&mut self, client: &Client) {
        let (path, duration) = (client.path(&self.file()), self.duration.to_string());
        let path = path.to_str().unwrap_or_default();
        let arguments = ["store", path, "--duration", &duration, "--until", "complete", "--json"];
        self.running = Some(client.start(&arguments));
        self.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_deal_counts_as_acknowledged_from_its_acceptance_on() {
        let shown = |at: Value| json!({"steps": [{"step": "signed", "at": 1}, {"step": "accepted", "at": at}]});
        assert!(was_acknowledged(&shown(json!(2))));
        assert!(!was_acknowledged(
            &json!({"steps": [{"step": "signed", "at": 1}, {"step": "accepted"}]})
        ));
        assert!(!was_acknowledged(&Value::Null));
    }
}
