"""What a training says, and when it says it."""

from tests.coordinator.core.situations import stepping_aside
from tests.coordinator.core.world import World

from gpurun.protocol import messages as m
from gpurun.protocol.job import JobState
from gpurun.protocol.quantity import GIB


def durable(job: int, request: int, checkpoint: str = "/c/9") -> m.Durable:
    return m.Durable(
        job=job,
        attempt=1,
        token="t",
        request=request,
        checkpoint=checkpoint,
        step=9,
        size=1,
        seconds=0.5,
    )


def test_a_training_that_comes_to_its_loop_is_asked_for_who_waits_already() -> None:
    """At once, not with the next look at the devices."""
    world = World(24 * GIB)
    job = world.start(20, 0.9)
    world.submit(12, 0.5, priority=50)
    assert world.state(job) is JobState.RUNNING
    world.attach(job)
    assert world.state(job) is JobState.PAUSING


def test_an_attempt_that_is_over_is_not_known() -> None:
    world = World(24 * GIB)
    job = world.start(20, 0.9)
    world.say(world.launcher(job), m.Exited(job=job, attempt=1, code=0))
    peer = world.attach(job)
    assert world.last(m.Problem, peer).text == f"attempt 1 of job {job} is not known here"
    assert job not in world.scheduler.state.trainers


def test_a_training_that_saves_is_not_called_back() -> None:
    """The point of no return: who waited has left, and it pauses all the same."""
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    light = world.submit(12, 0.5, priority=50)
    request = world.request(training)
    capturing = m.Capturing(job=training, attempt=1, token="t", request=request)
    world.say(world.trainer(training), capturing)
    world.say(world.launcher(light), m.Leave(job=light))
    assert world.state(training) is JobState.PAUSING
    assert not world.got(m.GoOn, world.trainer(training))
    answer = world.command(m.Resume(job=str(training)))
    assert isinstance(answer, m.Done)
    assert world.state(training) is JobState.PAUSING


def test_steps_that_are_said_again_do_not_go_back() -> None:
    """A late `Capturing` or `Overdue` of a durable pause; the story has each step once."""
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.command(m.Pause(job=str(training)))
    request = world.request(training)
    world.durable(training, request)
    order = world.job(training).pause
    for message in (
        m.Capturing(job=training, attempt=1, token="t", request=request),
        m.Overdue(job=training, attempt=1, token="t", request=request),
    ):
        world.say(world.trainer(training), message)
        assert world.job(training).pause == order
    world.say(world.trainer(training), durable(training, request))
    assert world.job(training).checkpoint == f"/checkpoints/{training}/7"
    assert len(world.got(m.EndTree, world.launcher(training))) == 2


def test_a_tree_that_was_ended_has_nothing_more_to_say() -> None:
    """A worker that outlives it may still speak."""
    world, training, exited = stepping_aside()
    told = len(world.got(m.EndTree, world.launcher(training)))
    world.attach(training)
    world.say(world.trainer(training), durable(training, exited.request))
    assert len(world.got(m.EndTree, world.launcher(training))) == told
    world.sample()
    assert world.state(training) is JobState.PAUSED


def test_a_checkpoint_that_nobody_wants_any_more_is_remembered() -> None:
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.say(world.trainer(training), durable(training, 77))
    assert world.job(training).checkpoint == "/c/9"
    assert world.last(m.GoOn, world.trainer(training)).request == 77


def test_a_training_that_rests_for_a_request_that_is_no_more_goes_on() -> None:
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    peer = world.peer()
    rests = m.Attach(pid=4711, job=training, attempt=1, token="t", pausable=("exit",), resting=5)
    world.say(peer, rests)
    assert world.last(m.GoOn, peer).request == 5
    assert world.state(training) is JobState.RUNNING


def test_only_who_gave_way_to_others_is_left_in_peace() -> None:
    """A person's own pause gives no right."""
    world = World(24 * GIB)
    for by_user in (True, False):
        training = world.train(20, 0.9)
        if by_user:
            world.command(m.Pause(job=str(training)))
        else:
            light = world.submit(12, 0.5, priority=50)
        world.capture(training)
        if by_user:
            world.command(m.Resume(job=str(training)))
        else:
            world.spawn(light)
            world.exit(light)
        world.come_back(training)
        assert world.job(training).returned == (None if by_user else world.now)
        assert world.job(training).pause is None
        world.exit(training)


def test_resumed_is_said_once() -> None:
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    before = world.job(training)
    resumed = m.Resumed(job=training, attempt=1, token="t", step=1)
    world.say(world.trainer(training), resumed)
    assert world.job(training) == before


def test_a_training_that_attaches_anew_is_asked_with_a_fresh_deadline() -> None:
    world = World(24 * GIB)
    training = world.train(20, 0.9)
    world.command(m.Pause(job=str(training)))
    request = world.request(training)
    capturing = m.Capturing(job=training, attempt=1, token="t", request=request)
    world.say(world.trainer(training), capturing)
    world.now += 5.0
    world.attach(training)
    asked = world.last(m.PauseRequest, world.trainer(training))
    assert (asked.request, asked.deadline) == (request, world.now + 60.0)
    order = world.job(training).pause
    assert order is not None
    assert order.stage == "asked"


def test_a_job_that_has_not_started_has_no_checkpoint() -> None:
    """Whatever a training says that should not be there; it is told to go on."""
    world = World(24 * GIB)
    world.start(20, 0.9)
    waiting, peer = world.submit(20, 0.9), world.peer()
    message = m.Durable(
        job=waiting,
        attempt=0,
        token="t",
        request=1,
        checkpoint="/c",
        step=1,
        size=1,
        seconds=0.1,
    )
    world.say(peer, message)
    assert world.job(waiting).checkpoint == ""
    assert world.last(m.GoOn, peer).job == waiting
