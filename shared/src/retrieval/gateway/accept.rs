//! Which form an answer has: by `format` and its companions in the URL, which win, and by `Accept` (RFC 9110, section 12.5.1).

use super::query::Query;
use super::{short, GatewayError};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

/// Media ranges that are looked at: browsers send eight.
const MAX_RANGES: usize = 32;
/// Characters of a client's wish that an error repeats.
const MAX_SHOWN: usize = 64;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One block.
    Raw,
    /// A CAR of version 1, depth first.
    Car(CarForm),
}

/// What of a CAR's form is the client's to choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CarForm {
    /// Whether a block comes each time that it occurs; without a word, once.
    pub duplicates: Option<bool>,
}

/// What a media range wishes for; `None` for what cannot be given.
#[derive(Clone, Copy)]
enum Wish {
    Of(Format),
    /// Whatever there is.
    Any,
}

/// The form that is asked for, and whether by `Accept` alone.
pub(super) fn negotiate(query: &Query<'_>, accept: Option<&str>) -> Result<(Format, bool), GatewayError> {
    let accepted = Accepted::of(accept.unwrap_or_default());
    match query.get("format").as_deref() {
        Some("raw") => Ok((Format::Raw, false)),
        // The URL says which form, and the header how it is to be; where both do, the URL wins.
        Some("car") => {
            let form = match (accepted.car, accepted.refuses_car) {
                (Some(form), _) => form,
                (None, true) if !has_car_parameters(query) => {
                    return Err(GatewayError::Unsupported("such a CAR".to_owned()));
                }
                (None, _) => CarForm::default(),
            };
            Ok((Format::Car(with_parameters(form, query)?), false))
        }
        Some(other) if !other.is_empty() => {
            Err(GatewayError::Unsupported(format!("format={}", short(other, MAX_SHOWN))))
        }
        _ => match accepted.best {
            Some(Wish::Of(Format::Car(form))) => Ok((Format::Car(with_parameters(form, query)?), true)),
            Some(Wish::Of(Format::Raw)) => Ok((Format::Raw, true)),
            Some(Wish::Any) => Err(GatewayError::NoFormat),
            None => match accept.map(str::trim).filter(|accept| !accept.is_empty()) {
                None => Err(GatewayError::NoFormat),
                Some(accept) => Err(GatewayError::Unsupported(short(accept, MAX_SHOWN))),
            },
        },
    }
}

fn has_car_parameters(query: &Query<'_>) -> bool {
    ["car-version", "car-order", "car-dups"]
        .iter()
        .any(|name| query.get(name).is_some())
}

/// The form with what the URL says of it.
fn with_parameters(form: CarForm, query: &Query<'_>) -> Result<CarForm, GatewayError> {
    let of = |name| query.get(name).filter(|value| !value.is_empty());
    let unsupported =
        |name: &str, value: &str| GatewayError::Unsupported(format!("{name}={}", short(value, MAX_SHOWN)));
    if let Some(version) = of("car-version").filter(|version| version != "1") {
        return Err(unsupported("car-version", &version));
    }
    if let Some(order) = of("car-order").filter(|order| !is_order(order)) {
        return Err(unsupported("car-order", &order));
    }
    let duplicates = match of("car-dups").as_deref() {
        None => form.duplicates,
        Some("y") => Some(true),
        Some("n") => Some(false),
        Some(other) => return Err(unsupported("car-dups", other)),
    };
    Ok(CarForm { duplicates })
}

/// Depth first is also some order.
fn is_order(order: &str) -> bool {
    ["dfs", "unk"].contains(&order)
}

/// What `Accept` says.
#[derive(Default)]
struct Accepted {
    best: Option<Wish>,
    /// The best CAR among its wishes.
    car: Option<CarForm>,
    /// It wishes for CARs of other forms alone.
    refuses_car: bool,
}

impl Accepted {
    fn of(header: &str) -> Self {
        let ranges = header.split(',').take(MAX_RANGES).filter_map(MediaRange::parse);
        let mut ranges: Vec<MediaRange<'_>> = ranges.filter(|range| range.quality > 0).collect();
        // Stable: of two that are wished for alike, the first.
        ranges.sort_by_key(|range| core::cmp::Reverse(range.quality));
        let mut accepted = Self::default();
        for range in &ranges {
            let is_car = range.kind.eq_ignore_ascii_case("application/vnd.ipld.car");
            let wish = range.wish();
            if let (true, Some(Wish::Of(Format::Car(form)))) = (is_car, wish) {
                accepted.car.get_or_insert(form);
            }
            accepted.refuses_car |= is_car && wish.is_none();
            // A form that is named is meant before one that is not.
            match (accepted.best, wish) {
                (None, wish) => accepted.best = wish,
                (Some(Wish::Any), Some(Wish::Of(_))) => accepted.best = wish,
                _ => {}
            }
        }
        accepted.refuses_car &= accepted.car.is_none();
        accepted
    }
}

struct MediaRange<'a> {
    kind: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    /// In thousandths.
    quality: u32,
}

impl<'a> MediaRange<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let kind = parts.next().filter(|kind| kind.contains('/'))?;
        let (mut parameters, mut quality) = (Vec::new(), 1000);
        for part in parts.take(MAX_RANGES) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            match name.eq_ignore_ascii_case("q") {
                true => quality = thousandths(value)?,
                false => parameters.push((name, value)),
            }
        }
        Some(Self {
            kind,
            parameters,
            quality,
        })
    }

    fn wish(&self) -> Option<Wish> {
        match self.kind.to_ascii_lowercase().as_str() {
            "application/vnd.ipld.raw" => Some(Wish::Of(Format::Raw)),
            "application/vnd.ipld.car" => self.car().map(|form| Wish::Of(Format::Car(form))),
            "*/*" | "application/*" => Some(Wish::Any),
            _ => None,
        }
    }

    fn car(&self) -> Option<CarForm> {
        let of = |name: &str| {
            let found = self
                .parameters
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| *value).filter(|value| !value.is_empty())
        };
        let is_given = of("version").is_none_or(|version| version == "1") && of("order").is_none_or(is_order);
        let duplicates = match of("dups") {
            None => None,
            Some("y") => Some(true),
            Some("n") => Some(false),
            Some(_) => return None,
        };
        is_given.then_some(CarForm { duplicates })
    }
}

/// A quality: `1`, `0.5`, up to three digits behind the point.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !["0", "1"].contains(&whole) || fraction.len() > 3 || !is_number(fraction) {
        return None;
    }
    let fraction: u32 = format!("{fraction:0<3}").parse().ok()?;
    Some(if whole == "1" { 1000 } else { fraction })
}
