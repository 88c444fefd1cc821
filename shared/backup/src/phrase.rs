//! The root in 24 English words (BIP-39), and back.
//!
//! The words are the root's 32 bytes with a checksum of one byte, and nothing is derived from them in between: BIP-39's seed and its
//! passphrase are not used. So the same words in a wallet for Bitcoin or Ethereum are other accounts.

use bip39::{Error, Language, Mnemonic};
use shared::chain::RootKey;
use zeroize::Zeroizing;

/// Words of a phrase.
pub const WORDS: usize = 24;
/// Longest text that is looked at: 24 words of eight letters, and as much white space again.
const MAX_TEXT: usize = 2048;

/// Why a text is no recovery phrase. What was typed is not repeated: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    #[error("it has {0} words; a recovery phrase has {WORDS}")]
    Count(usize),
    #[error(
        "word {0} is not in the list of words: look for a slip of the pen, all words are English and in lower case"
    )]
    Word(usize),
    #[error(
        "each word is one of the list, but together they are no phrase: one of them is wrong, or two are exchanged"
    )]
    Checksum,
}

/// The words of a root, with one space between them. Whoever has them has the money of all its accounts.
pub fn of_root(root: &RootKey) -> Zeroizing<String> {
    let entropy = Zeroizing::new(root.to_bytes());
    let mnemonic = Mnemonic::from_entropy(entropy.as_slice()).expect("32 bytes are 24 words");
    let mut text = Zeroizing::new(String::with_capacity(WORDS.saturating_mul(9)));
    for word in mnemonic.words() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// The root that a phrase says. Case and white space do not matter.
pub fn root_of(text: &str) -> Result<RootKey, PhraseError> {
    if text.len() > MAX_TEXT {
        return Err(PhraseError::Count(
            text.split_whitespace().take(WORDS.saturating_add(1)).count(),
        ));
    }
    let lower = Zeroizing::new(text.to_lowercase());
    let words: Vec<&str> = lower.split_whitespace().collect();
    if words.len() != WORDS {
        return Err(PhraseError::Count(words.len()));
    }
    let normal = Zeroizing::new(words.join(" "));
    let mnemonic = Mnemonic::parse_in_normalized(Language::English, &normal).map_err(|error| match error {
        Error::UnknownWord(index) => PhraseError::Word(index.saturating_add(1)),
        Error::BadWordCount(count) => PhraseError::Count(count),
        _ => PhraseError::Checksum,
    })?;
    let (entropy, length) = mnemonic.to_entropy_array();
    let entropy = Zeroizing::new(entropy);
    let bytes = entropy.get(..length).and_then(|bytes| bytes.try_into().ok());
    bytes.map(RootKey::from_bytes).ok_or(PhraseError::Checksum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the BIP (trezor/python-mnemonic), those of 24 words: entropy, words.
    const VECTORS: [(&str, &str); 8] = [
        ("0000000000000000000000000000000000000000000000000000000000000000", "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art"),
        ("7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f", "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title"),
        ("8080808080808080808080808080808080808080808080808080808080808080", "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic bless"),
        ("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo vote"),
        ("68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c", "hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis maple dilemma loan word shrug inflict delay length"),
        ("9f6a2878b2520799a44ef18bc7df394e7061a224d2c33cd015b157d746869863", "panda eyebrow bullet gorilla call smoke muffin taste mesh discover soft ostrich alcohol speed nation flash devote level hobby quick inner drive ghost inside"),
        ("066dca1a2bb7e8a1db2832148ce9933eea0f3ac9548d793112d9a95c9407efad", "all hour make first leader extend hole alien behind guard gospel lava path output census museum junior mass reopen famous sing advance salt reform"),
        ("f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f", "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing screen patrol group space point ten exist slush involve unfold"),
    ];

    fn root(entropy: &str) -> RootKey {
        let bytes = hex::decode(entropy).expect("hexadecimal");
        RootKey::from_bytes(bytes.try_into().expect("32 bytes"))
    }

    #[test]
    fn a_root_and_its_phrase_match_the_vectors_of_bip_39_both_ways() {
        for (entropy, words) in VECTORS {
            let root = root(entropy);
            assert_eq!(*of_root(&root), words);
            assert_eq!(root_of(words), Ok(root));
        }
    }

    #[test]
    fn case_and_white_space_do_not_matter() {
        let (entropy, words) = VECTORS[4];
        let shouted = format!("  {}\n", words.to_uppercase().replace(' ', "\n \t"));
        assert_eq!(root_of(&shouted), Ok(root(entropy)));
    }

    #[test]
    fn a_phrase_of_another_number_of_words_is_refused() {
        let twelve = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
        assert_eq!(root_of(twelve), Err(PhraseError::Count(12)));
        assert_eq!(root_of(""), Err(PhraseError::Count(0)));
        assert_eq!(root_of(&"zoo ".repeat(600)), Err(PhraseError::Count(25)));
    }

    #[test]
    fn a_word_that_is_not_in_the_list_is_refused_by_its_place() {
        let wrong = VECTORS[4].1.replace("cause", "cuase");
        assert_eq!(root_of(&wrong), Err(PhraseError::Word(5)));
        assert!(!PhraseError::Word(5).to_string().contains("cuase"));
    }

    #[test]
    fn two_words_that_are_exchanged_are_refused_by_the_checksum() {
        let wrong = VECTORS[4].1.replace("hamster diagram", "diagram hamster");
        assert_eq!(root_of(&wrong), Err(PhraseError::Checksum));
    }
}
