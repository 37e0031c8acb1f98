//! The front as clients meet it: real sockets, raw HTTP, a gate that does what the tests ask.

#[cfg(test)]
mod eras;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod http;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod knock;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod relays;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod talk;
#[cfg(test)]
mod tls;
