//! Clients as people use them, side by side on the same turns: a browser's EventSource, readers from
//! npm and PyPI, one in Rust, curl. A row for each client, a column for what happens to it; each cell
//! holds what the client itself says that it delivered against the frames of a strict reader: the
//! same events in the same order, nothing twice, nothing left out, every byte of the data.
//!
//! The table is printed. Where a client cannot have all, what it has is checked and the reason stands
//! below the table.

mod behind;
mod cast;
mod kept;
mod pages;
mod running;
mod rust_reader;
mod table;

use behind::Behind;
use cast::Cast;
use running::Act;

#[tokio::test]
async fn every_client_has_every_turn_of_a_simulated_box_whole() {
    let cast = Cast::ready().await;
    let mut behind = Behind::simbox(&cast, &[]).await;
    let forgetful = Behind::simbox(&cast, &kept::FORGETFUL).await;
    let gone = kept::to_be_forgotten(&forgetful).await;
    let columns = [
        running::play(&cast, &mut behind, Act::Live).await,
        running::play(&cast, &mut behind, Act::Cut).await,
        running::play(&cast, &mut behind, Act::Restart).await,
        running::play(&cast, &mut behind, Act::Cancel).await,
        kept::finished(&cast, &behind).await,
        kept::expired(&cast, &forgetful, &gone).await,
        kept::huge(&cast, &behind).await,
        kept::borders(&cast, &behind).await,
    ];
    table::print("over a simulated box", &columns);
}

/// Without what a real agent does not do on request: an event of 8 MB, a hundred events at once. That
/// events go is a matter of the log alone.
#[tokio::test]
async fn every_client_has_every_turn_of_opencode_whole() {
    let cast = Cast::ready().await;
    let mut behind = Behind::opencode(&cast).await;
    let columns = [
        running::play(&cast, &mut behind, Act::Live).await,
        running::play(&cast, &mut behind, Act::Cut).await,
        running::play(&cast, &mut behind, Act::Restart).await,
        running::play(&cast, &mut behind, Act::Cancel).await,
        kept::finished(&cast, &behind).await,
    ];
    table::print("over opencode", &columns);
}
