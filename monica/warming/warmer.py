"""Works jobs off, one after the other, while live announcements go first."""

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
from monica.warming.job_run import JobRun
from monica.warming.jobs import Job, Jobs, Script, State

STOP_S = 10.0
"""What stopping a job may take: a look-up, and a file."""

logger = logging.getLogger(__name__)


class Warmer:
    """Makes phrases before they are asked for. One a process; every method may be called from any thread."""

    def __init__(
        self, settings: Settings, announcer: Announcer, frontend: TextFrontend, catalogue: Catalogue, health: Health
    ) -> None:
        self.jobs = Jobs(settings.cache_dir / "jobs")
        self._settings = settings
        self._announcer = announcer
        self._frontend = frontend
        self._catalogue = catalogue
        self._health = health
        self._changed = threading.Condition()  # guards which job runs, and which waits
        self._rehearsal: JobRun | None = None
        self._closing = False

    def start(self) -> None:
        """Begin with the job that was interrupted, if one was, as soon as the engine is ready."""
        threading.Thread(target=self._work, name="warmer", daemon=True).start()

    def submit(self, script: Script) -> Job:
        """Have phrases made when their turn comes. Raises BookError, TooManyJobs or CacheFault."""
        book = script.read(self._settings.max_text_length)
        with self._changed:
            job = self.jobs.add(script, book.count())
            self._changed.notify_all()
        logger.info("job %s: %d phrases of %s wait to be made", job.id, job.total, ascii(script.name))
        return job

    def estimate(self, script: Script) -> Estimate:
        """Tell what making the phrases would take; nothing is made. Raises BookError or CacheFault."""
        book = script.read(self._settings.max_text_length)
        estimator = Estimator(self._announcer, self._frontend, self._catalogue, self._settings.cache_mb)
        return estimator.estimate(book, self._health.engine)

    def stop(self, job_id: str) -> Job:
        """Stop a job, and return it once it has; one that has ended already stays as it is. Raises UnknownJob."""
        job = self.jobs.get(job_id)
        with self._changed:
            if job.state is State.WAITING:
                self._end(job, State.STOPPED)
            elif self._rehearsal is not None and self._rehearsal.job is job:
                self._rehearsal.stop()
                self._changed.wait_for(lambda: job.state is not State.RUNNING, STOP_S)
        return job

    def close(self) -> None:
        """Stop working; a job that is not done goes on when Monica starts again."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            if self._rehearsal is not None:
                self._rehearsal.stop()
                self._changed.wait_for(lambda: self._rehearsal is None, STOP_S)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self.jobs.next() is not None)
                job = self.jobs.next()
                if self._closing or job is None:
                    return
                job.begin()
                self.jobs.save(job)
                rehearsal = self._rehearsal = JobRun(job, self._announcer, self._catalogue, self._settings, self._save)
            logger.info("job %s begins", job.id)
            reason = self._run(rehearsal)
            with self._changed:
                if reason is not None:
                    self._end(job, State.FAILED, reason)
                elif job.left == 0:
                    self._end(job, State.DONE)
                elif self._closing:
                    job.state = State.WAITING
                    self.jobs.save(job)
                else:
                    self._end(job, State.STOPPED)
                self._rehearsal = None
                for series in ("cached", "made", "failed", "left"):
                    metrics.warm_phrases.labels(series).set(0)
                self._changed.notify_all()

    def _run(self, rehearsal: JobRun) -> str | None:
        """Run it. Returns why it cannot go on, where it cannot."""
        try:
            return rehearsal.run()
        except MonicaError as error:  # the book: settings have changed since it was read
            return error.message
        except Exception:
            # The guard of this thread: the next job may do better.
            logger.exception("job %s: an error nobody foresaw", rehearsal.job.id)
            return "Monica failed on this job; her log says why."

    def _save(self, job: Job) -> None:
        self.jobs.save(job, durably=False)

    def _end(self, job: Job, state: State, reason: str | None = None) -> None:
        job.end(state, reason)
        self.jobs.save(job)
        logger.info(
            "job %s is %s: %d phrases were kept, %d made, %d failed, %d left%s",
            job.id, state, job.cached, job.made, job.failed, job.left, f" ({reason})" if reason else "",
        )  # fmt: skip
