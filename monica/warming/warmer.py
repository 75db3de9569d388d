"""Runs the warming jobs one after the other; live announcements go first."""

from __future__ import annotations

import logging
import threading

from monica import metrics
from monica.announcer import Announcer
from monica.config import Settings
from monica.errors import MonicaError
from monica.store.catalogue import Catalogue
from monica.synthesis.health import Health
from monica.text.frontend import TextFrontend
from monica.warming.estimate import Estimate, Estimator
from monica.warming.job import COUNTERS, Job, JobSource, State
from monica.warming.job_run import JobRun
from monica.warming.jobs import Jobs
from monica.warming.listening import Listening

STOP_S = 10.0
"""Longest wait for a stopped job to end: a lookup and a file may still be on the way."""

logger = logging.getLogger(__name__)


class Warmer:
    """Makes phrases before they are asked for. One per process; thread-safe."""

    def __init__(
        self,
        settings: Settings,
        announcer: Announcer,
        frontend: TextFrontend,
        catalogue: Catalogue,
        health: Health,
        listening: Listening,
    ) -> None:
        self.jobs = Jobs(settings.cache_dir / "jobs")
        self._settings = settings
        self._announcer = announcer
        self._catalogue = catalogue
        self._health = health
        self._listening = listening
        self._estimator = Estimator(announcer, frontend, catalogue, settings.cache_mb)
        self._changed = threading.Condition()  # guards which job runs and which wait
        self._run: JobRun | None = None
        self._closing = False

    def start(self) -> None:
        """Start the thread that runs the jobs; it begins with an interrupted one as soon as the engine is ready."""
        threading.Thread(target=self._work, name="warmer", daemon=True).start()

    def submit(self, source: JobSource, *, listen: bool | None = None) -> Job:
        """Add a job, which runs when its turn comes.

        listen: whether its phrases are listened to; None leaves it to the settings.
        Raises BookError, TooManyJobs, CacheError or ListeningUnavailable.
        """
        book = source.parse_book(self._settings.max_text_length)
        with self._changed:
            job = self.jobs.add(source, book.count(), listen=self._listening.decide(listen))
            self._changed.notify_all()
        logger.info("job %s: %d phrases of %s wait to be made", job.id, job.total, ascii(source.name))
        return job

    def estimate(self, source: JobSource) -> Estimate:
        """Estimate what making the phrases would take, without making any. Raises BookError or CacheError."""
        book = source.parse_book(self._settings.max_text_length)
        return self._estimator.estimate(book, self._health.engine, self._health.device)

    def stop(self, job_id: str) -> Job:
        """Stop a job, and return it once it has stopped. A job that has ended stays as it is. Raises UnknownJob."""
        job = self.jobs.get(job_id)
        with self._changed:
            if job.state is State.WAITING:
                self._end_job(job, State.STOPPED)
            elif self._run is not None and self._run.job is job:
                self._run.stop()
                self._changed.wait_for(lambda: job.state is not State.RUNNING, STOP_S)
        return job

    def close(self) -> None:
        """Stop working. A job that has not ended goes on when Monica starts again."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            if self._run is not None:
                self._run.stop()
                self._changed.wait_for(lambda: self._run is None, STOP_S)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self.jobs.next_waiting() is not None)
                job = self.jobs.next_waiting()
                if self._closing or job is None:
                    return
                job.start()
                self.jobs.save(job)
                run, reason = self._make_run(job)
                self._run = run
            logger.info("job %s begins", job.id)
            if run is not None:
                reason = self._finish_run(run)
                self._listening.close()
            with self._changed:
                if reason is not None:
                    self._end_job(job, State.FAILED, reason)
                elif job.left == 0:
                    self._end_job(job, State.DONE)
                elif self._closing:
                    job.state = State.WAITING
                    self.jobs.save(job)
                else:
                    self._end_job(job, State.STOPPED)
                self._run = None
                for counter in COUNTERS:
                    metrics.warm_phrases.labels(counter).set(0)
                self._changed.notify_all()

    def _make_run(self, job: Job) -> tuple[JobRun | None, MonicaError | None]:
        """Return the run of a job, or why there is none: what it would be listened to with is gone."""
        try:
            audition = self._listening.start() if job.listen else None
        except MonicaError as error:
            return None, error
        run = JobRun(job, self._announcer, self._catalogue, self._settings, self._save_progress, audition)
        return run, None

    def _finish_run(self, run: JobRun) -> MonicaError | None:
        """Take a run to its end. Returns why the job cannot go on, or None."""
        try:
            return run.run()
        except MonicaError as error:  # the book is refused: a setting has changed since it was submitted
            return error
        except Exception:
            # The guard of the warmer thread: the next job may fare better.
            logger.exception("job %s: unexpected error", run.job.id)
            return MonicaError("Monica failed on this job; her log says why.")

    def _save_progress(self, job: Job) -> None:
        self.jobs.save(job, durably=False)

    def _end_job(self, job: Job, state: State, reason: MonicaError | None = None) -> None:
        job.end(state, reason)
        self.jobs.save(job)
        logger.info(
            "job %s is %s: %d phrases were kept, %d made, %d failed, %d left%s",
            job.id, state, job.cached, job.made, job.failed, job.left, f" ({reason})" if reason else "",
        )  # fmt: skip
