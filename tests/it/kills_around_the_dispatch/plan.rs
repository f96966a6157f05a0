//! What will happen in one life of a turn: drawn from a seed, so that it can be drawn again.

use afterbay::upstream::Redispatch;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::it::support::puppet::{Call, Delivery, Memory};

/// Where a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Point {
    AcceptedRecord,
    PrepareInTheAir,
    PreparedRecord,
    PromptInTheAir,
    /// The first record after the prompt's answer, or its silence.
    RecordAfterThePrompt,
    SearchInTheAir,
    /// The first record after a search: found, repeated, or the verdict.
    RecordAfterASearch,
    RepeatInTheAir,
    RecordAfterTheRepeat,
    SearchAfterTheRepeat,
    Running,
    AnyOperation,
}

impl Point {
    pub(super) const ALL: [Self; 12] = [
        Self::AcceptedRecord,
        Self::PrepareInTheAir,
        Self::PreparedRecord,
        Self::PromptInTheAir,
        Self::RecordAfterThePrompt,
        Self::SearchInTheAir,
        Self::RecordAfterASearch,
        Self::RepeatInTheAir,
        Self::RecordAfterTheRepeat,
        Self::SearchAfterTheRepeat,
        Self::Running,
        Self::AnyOperation,
    ];

    /// Whether it needs a prompt that is not found.
    const fn is_of_a_repeat(self) -> bool {
        matches!(
            self,
            Self::RepeatInTheAir | Self::RecordAfterTheRepeat | Self::SearchAfterTheRepeat
        )
    }

    const fn is_of_a_search(self) -> bool {
        matches!(self, Self::SearchInTheAir | Self::RecordAfterASearch) || self.is_of_a_repeat()
    }
}

/// One process, up to its kill.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) point: Point,
    /// How many disk operations of that point still go well.
    pub(super) operations: usize,
    /// The machine dies, not only the process.
    pub(super) power_is_lost: bool,
    pub(super) client_returns: bool,
    pub(super) refused: Vec<Call>,
    /// When the box is started anew, if it is.
    pub(super) box_starts: Option<Moment>,
    /// Prompts that were on their way arrive then.
    pub(super) late_arrival: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Before,
    AtThePoint,
    WhileDead,
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) memory: Memory,
    pub(super) deliveries: Vec<Delivery>,
    /// Without it the turn waits for its owner after each kill.
    pub(super) has_box_credential: bool,
    /// Whether credential and prompt outlive the process, sealed.
    pub(super) seals: bool,
    pub(super) stages: Vec<Stage>,
    /// Whether the client comes back at the end, with its request or only to look.
    pub(super) returns_at_last: bool,
}

const SILENT: [Delivery; 3] = [Delivery::TakenInSilence, Delivery::LostOnTheWay, Delivery::Delayed];
const ANY: [Delivery; 8] = [
    Delivery::Taken,
    Delivery::TakenInSilence,
    Delivery::LostOnTheWay,
    Delivery::Delayed,
    Delivery::NotSent,
    Delivery::Refused,
    Delivery::Later,
    Delivery::Unnamed,
];

impl Plan {
    pub(super) fn from_seed(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let repeats = if rng.random_bool(0.7) { Redispatch::Deduped } else { Redispatch::Never };
        let memory = Memory { repeats, has_mark: rng.random() };
        let stages: Vec<_> =
            (0..rng.random_range(1..4)).map(|index| Stage::draw(&mut rng, index)).collect();
        let first = stages.first().map_or(Point::AnyOperation, |stage| stage.point);
        // So that most lives come to the point they aim at.
        let first: &[Delivery] = match first {
            point if point.is_of_a_repeat() => &[Delivery::LostOnTheWay, Delivery::Delayed],
            point if point.is_of_a_search() => &SILENT,
            _ => &ANY,
        };
        let first = *first.choose(&mut rng).expect("some");
        let more = (0..rng.random_range(0..3)).map(|_| *ANY.choose(&mut rng).expect("some"));
        let deliveries = [first].into_iter().chain(more).collect();
        let (has_box_credential, returns_at_last) = (rng.random_bool(0.6), rng.random_bool(0.7));
        let seals = rng.random_bool(0.4);
        Self { seed, memory, deliveries, has_box_credential, seals, stages, returns_at_last }
    }
}

impl Stage {
    fn draw(rng: &mut StdRng, index: usize) -> Self {
        let later = |point: &Point| *point > Point::RecordAfterThePrompt;
        let points: Vec<_> = Point::ALL.into_iter().filter(|p| index == 0 || later(p)).collect();
        // The point at which most can go wrong, and the longest way on from there.
        let searches = rng.random_bool(0.2);
        let any = *points.choose(rng).expect("some");
        let point = if searches { Point::RecordAfterASearch } else { any };
        let most = match (point, rng.random_bool(0.6)) {
            (Point::AnyOperation, _) => 16,
            (_, true) => 2,
            (_, false) => 8,
        };
        let starts_now = searches && rng.random_bool(0.4);
        let box_starts =
            if starts_now { Some(Moment::AtThePoint) } else { Moment::draw(rng, 0.25) };
        let calls = [Call::Prepare, Call::Dispatch, Call::Find, Call::Poll];
        let refused = if rng.random_bool(0.25) { rng.random_range(1..3) } else { 0 };
        Self {
            point,
            operations: rng.random_range(0..most),
            power_is_lost: rng.random(),
            client_returns: index == 0 || rng.random_bool(0.7),
            refused: (0..refused).map(|_| *calls.choose(rng).expect("some")).collect(),
            box_starts,
            late_arrival: Moment::draw(rng, 0.4),
        }
    }
}

impl Moment {
    fn draw(rng: &mut StdRng, likely: f64) -> Option<Self> {
        let moment = [Self::Before, Self::AtThePoint, Self::WhileDead].choose(rng).copied();
        moment.filter(|_| rng.random_bool(likely))
    }
}
