//! The policy as others use it: rules in, decisions out.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod codes;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod decisions;
#[cfg(test)]
mod explanations;
#[cfg(test)]
mod files;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod networks;
#[cfg(test)]
mod opaque;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod redirections;
#[cfg(test)]
mod shells;
#[cfg(test)]
mod upstreams;
#[cfg(test)]
mod world;
