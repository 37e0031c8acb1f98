//! The environment of a program.

use broker::{Broker, Standing};
use model::{Secret, UpstreamName};

use crate::http::secret;
use crate::settings::EnvValue;

/// The variables as they are written, with secrets fetched for this start, and what knows those secrets.
pub(crate) async fn of(
    upstream: UpstreamName,
    values: &[(String, EnvValue)],
    broker: &Broker,
) -> Result<(Vec<(String, String)>, Standing), String> {
    let (mut env, mut secrets) = (Vec::new(), Vec::<Secret<String>>::new());
    for (variable, value) in values {
        match value {
            EnvValue::Plain(text) => env.push((variable.clone(), text.clone())),
            EnvValue::Secret(location) => {
                let secret = secret(upstream, location, broker).await?;
                env.push((variable.clone(), secret.expose().clone()));
                secrets.push(secret);
            }
        }
    }
    let standing = Standing::new(&secrets);
    Ok((env, standing))
}
