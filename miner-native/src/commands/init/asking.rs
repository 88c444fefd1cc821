//! The questions, as a terminal shows them: each says why it is asked and has a default. Nothing is decided here.

use super::checks::Asked;
use super::plan::{Ports, Reach, Tls};
use super::settled::{Settled, SettledRole};
use super::{absolute, price, InitError};
use crate::commands::doctor::finding::{Finding, Level};
use crate::configuration::HostName;
use crate::daemon::Role;
use crate::terminal::escaped;
use dialoguer::theme::ColorfulTheme;
use dialoguer::{Confirm, Input, Select};
use sealdrop_listener::{Certificate, PemFiles};
use sealdrop_miner::console;
use shared::chain::AttoFil;
use shared::client::link::HttpUrl;
use shared::piece::SectorSize;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Somebody who answers. Questions go to standard error.
pub struct Terminal(ColorfulTheme);

impl Terminal {
    /// Of this process, where there is one.
    pub fn of_this_process() -> Option<Self> {
        let is_one = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        is_one.then(|| Self(ColorfulTheme::default()))
    }

    /// A line between questions.
    pub fn say(&self, line: &str) {
        console::stderr(&escaped(line));
    }

    /// Why the next question is asked, apart from what was before.
    fn explain(&self, why: &str) {
        self.say("");
        self.say(why);
    }

    /// What a check found.
    pub fn tell(&self, found: &Finding) {
        self.say(&found.described());
    }

    /// A question that is answered by yes or no.
    pub fn agrees(&self, question: &str, usually: bool) -> Result<bool, InitError> {
        Ok(Confirm::with_theme(&self.0)
            .with_prompt(question)
            .default(usually)
            .interact()?)
    }

    fn choice(&self, why: &str, question: &str, items: &[String], default: usize) -> Result<usize, InitError> {
        self.explain(why);
        Ok(Select::with_theme(&self.0)
            .with_prompt(question)
            .items(items)
            .default(default)
            .interact()?)
    }

    /// Text that `read` takes; what it does not take is asked for again, with the reason.
    fn text<T>(
        &self,
        why: &str,
        question: &str,
        default: Option<String>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, InitError> {
        self.explain(why);
        loop {
            let input = Input::<String>::with_theme(&self.0).with_prompt(question);
            let text = match &default {
                Some(default) => input.default(default.clone()).show_default(!default.is_empty()),
                None => input,
            };
            let text = text.allow_empty(true).interact_text()?;
            match read(text.trim()) {
                Ok(value) => return Ok(value),
                Err(reason) => self.say(&reason),
            }
        }
    }

    /// Where data is kept.
    pub fn home(&self, usual: Option<&Path>) -> Result<PathBuf, InitError> {
        let why = "Deals, sectors, keys and the chain lie in one folder, its home. It should be on the disk that is to be filled.";
        let default = usual.map(|usual| usual.display().to_string());
        self.text(why, "Home", default, |text| match text.is_empty() {
            true => Err("name a folder".to_owned()),
            false => Ok(PathBuf::from(text)),
        })
    }

    /// What the daemon runs.
    pub fn role(&self, settled: &Settled) -> Result<Role, InitError> {
        let why = "A network has one chain and any number of miners. A home belongs to its chain for good.";
        let (both, chain) = ("a chain, and a miner on it", "a chain alone, for others' miners");
        let has_chain = matches!(settled.role, Some(SettledRole::OwnChain { .. }));
        let mut items = vec![both.to_owned(), chain.to_owned()];
        if !has_chain {
            items.push("a miner on another daemon's chain".to_owned());
        }
        match self.choice(why, "What is to run here", &items, usize::from(has_chain))? {
            0 => Ok(Role::ChainAndMiner),
            1 => Ok(Role::Chain),
            _ => {
                let why = "The chain's daemon says its endpoint when it starts; the miner asks it for everything.";
                let chain = self.text(
                    why,
                    "Its endpoint, as http://chain.example.org:4403",
                    None,
                    |text| match text.parse::<HttpUrl>() {
                        Ok(_) => Ok(text.to_owned()),
                        Err(error) => Err(error.to_string()),
                    },
                )?;
                Ok(Role::Miner { chain })
            }
        }
    }

    /// The size of sectors: of those that the chain has, with what `check` finds of each that is chosen.
    pub fn sector_size(
        &self,
        usual: SectorSize,
        asked: Option<&Asked>,
        check: impl Fn(SectorSize) -> Vec<Finding>,
    ) -> Result<SectorSize, InitError> {
        let why = "Pieces are packed into sectors, which are sealed and proven one by one. Larger ones hold more for each proof, and take longer, \
                   more memory and eight times their size on the disk while they are sealed. It stays for good.";
        let sizes: Vec<SectorSize> = match asked {
            Some(Ok(network)) => network.policy.sector_sizes.clone(),
            // 32 GiB takes official parameters, and whoever has them says so by options.
            _ => vec![SectorSize::S2KiB, SectorSize::S8MiB, SectorSize::S512MiB],
        };
        let about = |size: &SectorSize| match size {
            SectorSize::S2KiB => format!("{size}: for quick trials"),
            SectorSize::S8MiB => format!("{size}: for development"),
            SectorSize::S512MiB => format!("{size}: sealed in minutes"),
            SectorSize::S32GiB => format!("{size}: with official parameters"),
        };
        let items: Vec<String> = sizes.iter().map(about).collect();
        let default = sizes.iter().position(|size| *size == usual).unwrap_or(0);
        loop {
            let chosen = self.choice(why, "Size of sectors", &items, default)?;
            let size = sizes.get(chosen).copied().unwrap_or(usual);
            let found = check(size);
            found.iter().for_each(|found| self.tell(found));
            let is_well = found.iter().all(|found| found.level != Level::Wrong);
            if is_well || self.agrees("Take this size all the same?", false)? {
                return Ok(size);
            }
        }
    }

    /// The asking price: by the month where blocks come by themselves.
    pub fn price(&self, usual: AttoFil, block_time: Duration) -> Result<AttoFil, InitError> {
        let amount = |text: &str| text.parse::<AttoFil>().map_err(|error| error.to_string());
        let Some(month) = price::per_gib_month(usual, block_time) else {
            let why = "Clients pay for each byte and block. It may be changed at any time.";
            return self.text(why, "Price in FIL per byte per block", Some(usual.to_string()), amount);
        };
        let why = format!(
            "Clients pay for each byte and block; {month} FIL per GiB and month, at a block every {}, are {usual} FIL. It may be changed at any time.",
            crate::span::text(block_time)
        );
        let question = "Price in FIL per GiB and month";
        let price = self.text(&why, question, Some(month.to_string()), |text| {
            let month = amount(text)?;
            price::per_byte_block(month, block_time).ok_or_else(|| InitError::Price { month, block_time }.to_string())
        })?;
        self.say(&format!("That is {price} FIL per byte per block."));
        Ok(price)
    }

    /// Who may reach it.
    pub fn reach(&self) -> Result<Reach, InitError> {
        let why = "Listeners for others have limits for each address, and orders need a token everywhere.";
        let all = [Reach::ThisMachine, Reach::Network, Reach::Internet];
        let items = all.map(|reach| match reach {
            Reach::ThisMachine => "this machine only".to_owned(),
            Reach::Network => "this network: chain, miner and page".to_owned(),
            Reach::Internet => "the internet: chain and miner, and the page in TLS".to_owned(),
        });
        let chosen = self.choice(why, "Who may reach it", &items, 0)?;
        Ok(all.get(chosen).copied().unwrap_or(Reach::ThisMachine))
    }

    /// By which names.
    pub fn names(&self, reach: Reach) -> Result<Vec<HostName>, InitError> {
        let why = match reach {
            Reach::Internet => "Clients are told where to dial. Without a name or address here, the daemon tells the addresses that it finds itself.",
            _ => "Others may ask by this machine's addresses in any case, and by names that stand here.",
        };
        let question = "Names and addresses, separated by commas (none: leave it empty)";
        self.text(why, question, Some(String::new()), |text| {
            let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
            let read = names.map(|name| HostName::from_str(name).map_err(|error| format!("{name:?}: {error}")));
            read.collect()
        })
    }

    /// A certificate, if there is one.
    pub fn certificate(&self) -> Result<Option<Tls>, InitError> {
        let why = "With a certificate chain, page and HTTP speak TLS; without one the page stays on this machine. Chain of PEM files, as \
                   of Let's Encrypt.";
        let path = |text: &str| match text.is_empty() {
            true => Ok(PathBuf::new()),
            false => absolute(Path::new(text)).map_err(|error| error.to_string()),
        };
        loop {
            let certificate = self.text(why, "Certificate (none: leave it empty)", Some(String::new()), path)?;
            if certificate.as_os_str().is_empty() {
                return Ok(None);
            }
            let key = self.text("Its key is read by the daemon alone.", "Its key", None, path)?;
            match Certificate::load(PemFiles {
                certificate: certificate.clone(),
                key: key.clone(),
            }) {
                Ok(_) => return Ok(Some(Tls { certificate, key })),
                Err(error) => self.say(&error.to_string()),
            }
        }
    }

    /// The ports of what runs.
    pub fn ports(&self, now: Ports, role: &Role) -> Result<Ports, InitError> {
        let mut ports = now;
        let mut used = ports.used(role);
        let list: Vec<String> = used.iter().map(|(name, port)| format!("{port} {name}")).collect();
        self.explain(&format!(
            "Each listener has a port: {}. A firewall has to let those pass that others reach.",
            list.join("; ")
        ));
        if self.agrees("Take these ports?", true)? {
            return Ok(now);
        }
        for (name, port) in &mut used {
            let read = |text: &str| {
                text.parse()
                    .map_err(|_| "a port is a number from 0 to 65535; 0 takes any free one".to_owned())
            };
            **port = self.text(&format!("For: {name}"), "Port", Some(port.to_string()), read)?;
        }
        Ok(ports)
    }
}
