//! What the cache keeps for a credential: the bytes that are allocated after it was filled and were not
//! before, with a use and a limiter's state for each.

use crate::AnyError;
use crate::instance::Instance;
use crate::miss::{asker, scopes, settings, verify};
use crate::rounds::Bound;
use std::sync::Arc;

const LANES: usize = 16;

pub async fn run(credentials: usize) -> Result<(), AnyError> {
    for for_each in [1, 4] {
        let with_room = async |capacity: usize| {
            let before = crate::ALLOCATOR.allocated();
            let instance = Instance::new(symbolon_app::AppSettings {
                cache_capacity: capacity,
                ..settings()
            });
            let instance = instance.await?;
            let took = crate::ALLOCATOR.allocated().saturating_sub(before);
            Ok::<_, AnyError>((instance, took))
        };
        // Tables that are made at their full size from the beginning count too.
        let (_, without) = with_room(1).await?;
        let (instance, with) = with_room(credentials + credentials / 5).await?;
        let (tokens, _) = instance.tokens(credentials + 1000, for_each).await?;
        let tokens = Arc::new(tokens);
        instance.app.poll_feed().await?;
        // The pool's connections and their statements are there before it counts.
        fill(&instance, &tokens, credentials..tokens.len()).await?;
        let before = crate::ALLOCATOR.allocated();
        fill(&instance, &tokens, 0..credentials).await?;
        let filled = crate::ALLOCATOR.allocated().saturating_sub(before);
        let bytes = (filled + with.saturating_sub(without)) as f64;
        let each = bytes / credentials as f64;
        println!(
            "memory of a cached credential, {credentials} of them, {for_each} for each service \
             account: {each:.0} bytes {}",
            Bound::AtMost(400.0).verdict(each)
        );
    }
    Ok(())
}

async fn fill(
    instance: &Instance,
    tokens: &Arc<Vec<String>>,
    range: std::ops::Range<usize>,
) -> Result<(), AnyError> {
    let scopes = scopes()?;
    let mut tasks = Vec::new();
    for lane in 0..LANES {
        let (app, tokens, scopes) = (instance.app.clone(), tokens.clone(), scopes.clone());
        let (asker, range) = (asker(instance).await?, range.clone());
        tasks.push(tokio::spawn(async move {
            for at in range.skip(lane).step_by(LANES) {
                let good = verify(&app, &asker, &tokens[at], &scopes, false).await;
                if !good.map_err(|error| error.to_string())? {
                    return Err("a good token is refused".to_owned());
                }
            }
            Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}
