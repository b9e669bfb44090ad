//! `[doors]`: which products' APIs are served beside our own.

use symbolon_api::Doors;

use super::reader::Reader;

pub(super) fn read(reader: &mut Reader) -> Doors {
    Doors {
        unleash: reader.boolean("doors.unleash"),
        prefactor: reader.boolean("doors.prefactor"),
        neowit: reader.boolean("doors.neowit"),
    }
}
