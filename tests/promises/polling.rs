//! Polling: nothing is lost, nothing is told twice, nothing is changed on the way.

use afterbay::event::Event;
use afterbay::limits;
use afterbay::upstream::{Activity, Depth, Ending, PageStep};

use super::turn::Turn;
use super::{Promise, Scene, Stage, until};

pub(crate) const POLLING: &[Promise] = &[
    ("the same cursor on the same box gives the same page", |stage| Box::pin(repeatable(stage))),
    ("the box's parts come through token for token, all of them", |stage| Box::pin(whole(stage))),
    ("whatever is taken over of a page, the next one is the rest", |stage| {
        Box::pin(cut_anywhere(stage))
    }),
    ("a process that dies between steps loses and doubles nothing", |stage| {
        Box::pin(dying_often(stage))
    }),
    ("a part that grows is told at most ten times over, a text with its deltas", |stage| {
        Box::pin(growing(stage))
    }),
    ("the shallow polls find the end and leave nothing out", |stage| Box::pin(shallow(stage))),
];

fn events(steps: &[PageStep]) -> Vec<Event> {
    steps.iter().flat_map(|step| step.events.clone()).collect()
}

async fn repeatable(stage: &dyn Stage) {
    let mut turn = Turn::at_work(stage).await;
    check_repeatable(&mut turn).await;
    let mut turn = Turn::start(stage, Scene::Answers).await;
    turn.end().await;
    check_repeatable(&mut turn).await;
}

async fn check_repeatable(turn: &mut Turn<'_>) {
    let (first, second) = turn
        .while_still(async |turn| {
            let first = turn.page(Depth::Messages).await.expect("a page");
            (first, turn.page(Depth::Messages).await.expect("a page"))
        })
        .await;
    assert_eq!(first.steps, second.steps);
    assert_eq!(first.view, second.view);
    let (news, polled) = turn
        .while_still(async |turn| {
            turn.poll().await;
            turn.restart();
            (turn.poll().await, turn.page(Depth::Messages).await.expect("a page"))
        })
        .await;
    assert_eq!((news, polled.steps), (vec![], vec![]), "there is always something new");
}

async fn whole(stage: &dyn Stage) {
    let mut turn = Turn::start(stage, Scene::Answers).await;
    turn.end().await;
    assert_eq!(turn.view.ending, Some(Ending::Completed));
    settle(&mut turn).await;
    turn.told.check_against(&turn.record().await);
}

/// Polls until everything that the box has on record was told.
async fn settle(turn: &mut Turn<'_>) {
    turn.while_still(async |turn| {
        turn.poll().await;
        turn.poll().await
    })
    .await;
}

async fn cut_anywhere(stage: &dyn Stage) {
    let mut turn = Turn::start(stage, Scene::SaysMuch).await;
    until("the turn is over", async || {
        let page = turn.page(Depth::Messages).await.expect("a page");
        stage.go_on(&turn.name).await;
        (page.view.ending.is_some() && page.view.activity == Activity::Idle).then_some(())
    })
    .await;
    // Nothing has been taken over so far.
    let (all, rests) = turn.while_still(async |turn| pages_of_all_cuts(turn).await).await;
    assert!(all.len() > 1, "a page of {} steps cannot be cut", all.len());
    for (cut, (rest, end)) in rests.iter().enumerate() {
        assert_eq!(rest, &events(&all[cut..]), "after {cut} of {} steps", all.len());
        assert_eq!(end, &rests[0].1, "the cursor after {cut} of {} steps and the rest", all.len());
    }
    all.into_iter().for_each(|step| turn.take_over(step));
    turn.told.check_against(&turn.record().await);
}

/// The page from the start, and for each number of its steps what a page after them tells, and the
/// cursor in the end.
async fn pages_of_all_cuts(
    turn: &mut Turn<'_>,
) -> (Vec<PageStep>, Vec<(Vec<Event>, afterbay::upstream::PollCursor)>) {
    let all = turn.page(Depth::Messages).await.expect("a page").steps;
    let start = turn.cursor.clone();
    let mut rests = Vec::new();
    for cut in 0..=all.len() {
        turn.cursor = start.clone();
        all[..cut].iter().for_each(|step| turn.cursor.fold(clone(step).delta));
        let rest = turn.page(Depth::Messages).await.expect("a page").steps;
        rest.iter().for_each(|step| turn.cursor.fold(clone(step).delta));
        rests.push((events(&rest), turn.cursor.clone()));
    }
    turn.cursor = start;
    (all, rests)
}

fn clone(step: &PageStep) -> PageStep {
    PageStep { events: step.events.clone(), delta: step.delta.clone() }
}

async fn dying_often(stage: &dyn Stage) {
    for scene in [Scene::Answers, Scene::Grows, Scene::SaysMuch] {
        let mut turn = Turn::start(stage, scene).await;
        let mut polls = 0;
        until("an end that is taken over", async || {
            let page = turn.page(Depth::Messages).await.expect("a page");
            let over = page.view.ending.is_some() && page.view.activity == Activity::Idle;
            let (steps, kept) = (page.steps.len(), polls % (page.steps.len() + 1));
            turn.view = page.view;
            page.steps.into_iter().take(kept).for_each(|step| turn.take_over(step));
            turn.restart();
            stage.go_on(&turn.name).await;
            polls += 1;
            (over && kept == steps).then_some(())
        })
        .await;
        settle(&mut turn).await;
        turn.told.check_against(&turn.record().await);
    }
}

async fn growing(stage: &dyn Stage) {
    let mut turn = Turn::start(stage, Scene::Grows).await;
    turn.end().await;
    settle(&mut turn).await;
    let small = limits::SMALL_PART_BYTES;
    let mut most = 0;
    for (told, times, last) in turn.told.growth(small) {
        assert!(told <= 10 * last, "{told} bytes were told of a part of {last}");
        most = most.max(times);
    }
    assert!(most > 2, "no part has grown before our eyes");
    turn.told.check_against(&turn.record().await);
    // That they make up the text is checked with each of them.
    match stage.shows_growing_text() {
        Ok(()) => assert!(turn.told.additions > 2, "{} additions", turn.told.additions),
        Err(why) => println!("not applicable: a text that grows is told with its delta: {why}"),
    }
}

async fn shallow(stage: &dyn Stage) {
    let mut turn = Turn::start(stage, Scene::Answers).await;
    until("the end", async || {
        let page = turn.page(Depth::Status).await.expect("a page");
        let over = page.view.ending.is_some() && page.view.activity == Activity::Idle;
        turn.view = page.view;
        page.steps.into_iter().for_each(|step| turn.take_over(step));
        stage.go_on(&turn.name).await;
        over.then_some(())
    })
    .await;
    turn.told.check_against(&turn.record().await);
}
