//! What a command pays for its message: `--gas-price`, `--gas-limit` and `--preview` of every command that sends one
//! (spec §6, "gas options"). The originals had to be given; here they have defaults that are enough for every method.

use clap::Args;
use shared::chain::calls::{GAS_LIMIT, GAS_PRICE};
use shared::chain::{Address, AttoFil};

/// The options of every command that sends a message.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Message")]
pub struct Sending {
    /// The account that sends it [default: the wallet's default address]
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<Address>,
    #[command(flatten)]
    pub gas: GasOptions,
}

/// What is paid for a message's gas.
#[derive(Debug, Clone, Args)]
pub struct GasOptions {
    /// FIL that the sender pays for a unit of gas
    #[arg(long, value_name = "FIL", default_value_t = GAS_PRICE, value_parser = price)]
    pub gas_price: AttoFil,
    /// Most units of gas that the message may use
    #[arg(long, value_name = "UNITS", default_value_t = GAS_LIMIT)]
    pub gas_limit: u64,
    /// Send nothing; print the units of gas that the message would use
    #[arg(long)]
    pub preview: bool,
}

impl GasOptions {
    /// Whether price or limit were given otherwise than they are by default.
    pub fn are_changed(&self) -> bool {
        self.gas_price != GAS_PRICE || self.gas_limit != GAS_LIMIT
    }
}

/// Why text is no price of gas (spec §6, its text).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GasPriceError {
    #[error("invalid gas price (specify FIL as a decimal number)")]
    Form,
    #[error("the chain takes no message without a gas price; give at least 0.000000000000000001")]
    Zero,
}

fn price(text: &str) -> Result<AttoFil, GasPriceError> {
    match text.parse() {
        Ok(AttoFil::ZERO) => Err(GasPriceError::Zero),
        Ok(price) => Ok(price),
        Err(_) => Err(GasPriceError::Form),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gas_price_is_a_positive_decimal_number_of_fil() {
        assert_eq!(price("0.5"), Ok(AttoFil(500_000_000_000_000_000)));
        assert_eq!(price("cheap"), Err(GasPriceError::Form));
        assert_eq!(price("-1"), Err(GasPriceError::Form));
        assert_eq!(price("0"), Err(GasPriceError::Zero));
    }
}
