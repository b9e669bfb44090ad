//! `symbolon openapi`: the document of one door, without the address of a server.

use std::path::Path;

pub fn run(door: &str, check: Option<&Path>) -> Result<(), Box<dyn std::error::Error>> {
    let document = symbolon_api::openapi(door).ok_or("there is no such door")?;
    let document = document.to_pretty_json()?;
    match check {
        None => println!("{document}"),
        Some(path) => {
            let known = std::fs::read_to_string(path)?;
            if known.trim_end() != document.trim_end() {
                return Err(
                    format!("{} is not the document of this release", path.display()).into(),
                );
            }
            println!("{} is the document of this release", path.display());
        }
    }
    Ok(())
}
