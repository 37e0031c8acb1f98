//! The traditional encrypted PEM form of OpenSSL and old `ssh-keygen -m PEM`: weak, and still what many vaults hold.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use aes::{Aes128, Aes192, Aes256};
use zeroize::Zeroizing;

use super::forms::Closed;

/// Decrypts the bytes of such a key. `dek` is what its `DEK-Info` line says: the cipher, a comma, the salt in hex.
pub(super) fn decrypt(
    dek: &str,
    bytes: &[u8],
    passphrase: Option<&str>,
) -> Result<Zeroizing<Vec<u8>>, Closed> {
    let (cipher, salt) = dek.split_once(',').ok_or(Closed::Cipher)?;
    let length = match cipher {
        "AES-128-CBC" => 16,
        "AES-192-CBC" => 24,
        "AES-256-CBC" => 32,
        _ => return Err(Closed::Cipher),
    };
    let passphrase = passphrase.ok_or(Closed::NoPassphrase)?;
    let mut iv = [0; 16];
    hex::decode_to_slice(salt.trim(), &mut iv).map_err(|_| Closed::Cipher)?;
    let key = stretched(passphrase, &iv, length);
    let mut plain = Zeroizing::new(bytes.to_vec());
    let length = match length {
        16 => in_place(cbc::Decryptor::<Aes128>::new_from_slices(&key, &iv), &mut plain),
        24 => in_place(cbc::Decryptor::<Aes192>::new_from_slices(&key, &iv), &mut plain),
        _ => in_place(cbc::Decryptor::<Aes256>::new_from_slices(&key, &iv), &mut plain),
    }?;
    plain.truncate(length);
    Ok(plain)
}

/// How many bytes are left without the padding.
fn in_place<D: BlockModeDecrypt, E>(cipher: Result<D, E>, bytes: &mut [u8]) -> Result<usize, Closed> {
    let cipher = cipher.map_err(|_| Closed::Cipher)?;
    cipher.decrypt_padded::<Pkcs7>(bytes).map(<[u8]>::len).map_err(|_| Closed::WrongPassphrase)
}

/// OpenSSL's `EVP_BytesToKey` with MD5 and one round, salted with the first half of the initialisation vector.
fn stretched(passphrase: &str, iv: &[u8; 16], length: usize) -> Zeroizing<Vec<u8>> {
    let salt = iv.first_chunk::<8>().copied().unwrap_or_default();
    let mut key: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(32));
    let mut last = Zeroizing::new(Vec::with_capacity(16));
    while key.len() < length {
        let mut hash = md5::Context::new();
        hash.consume(last.as_slice());
        hash.consume(passphrase.as_bytes());
        hash.consume(salt);
        *last = hash.finalize().0.to_vec();
        key.extend_from_slice(&last);
    }
    key.truncate(length);
    key
}
