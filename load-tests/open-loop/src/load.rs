//! The schedule, and who sends what on which connection. One thread, one epoll: it shares its core
//! with the backends, so it must cost little.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, EventData, EventFlags},
    },
    thread::sched_yield,
};

use crate::line::Line;

/// How long answers are waited for after the last request.
const PATIENCE: Duration = Duration::from_secs(2);
/// Events taken at a time.
const EVENTS: usize = 256;

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Whole answers, with those of the warm-up.
    pub(crate) answered: u64,
    /// Requests without a good answer, with those of the warm-up.
    pub(crate) failed: u64,
    /// Nanoseconds from the scheduled moment to the whole answer, after the warm-up.
    pub(crate) latency: Histogram<u64>,
}

/// Everything under way.
#[derive(Debug)]
pub(crate) struct Load {
    address: SocketAddr,
    request: Vec<u8>,
    every: Duration,
    warm_up: Duration,
    length: Duration,
    epoll: OwnedFd,
    lines: Vec<Line>,
    /// Connections without a request, the longest at rest first.
    idle: VecDeque<usize>,
    /// Requests that wait for a connection, by when they were to leave.
    late: VecDeque<Instant>,
    seen: Seen,
}

impl Load {
    /// Connects; nothing is sent yet. `times`: of the warm-up, and of what is counted.
    pub(crate) fn new(
        address: SocketAddr,
        connections: usize,
        request: Vec<u8>,
        every: Duration,
        times: (Duration, Duration),
    ) -> io::Result<Self> {
        let lines = (0..connections).map(|_| Line::new(address));
        let latency = Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)?;
        let load = Self {
            address,
            request,
            every,
            warm_up: times.0,
            length: times.1,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            lines: lines.collect::<io::Result<_>>()?,
            idle: (0..connections).collect(),
            late: VecDeque::new(),
            seen: Seen {
                answered: 0,
                failed: 0,
                latency,
            },
        };
        for number in 0..connections {
            load.watch(number)?;
        }
        Ok(load)
    }

    /// Sends by the schedule until its end, and waits a little for the last answers.
    pub(crate) fn run(mut self) -> io::Result<Seen> {
        let began = Instant::now();
        let counted_from = began + self.warm_up;
        let end = counted_from + self.length;
        let mut next = began;
        let mut events = Vec::with_capacity(EVENTS);
        let mut buffer = vec![0; 65_536];
        loop {
            let now = Instant::now();
            while next <= now && next < end {
                self.late.push_back(next);
                next += self.every;
            }
            self.send()?;
            let until = if next < end { next } else { end + PATIENCE };
            if next >= end && (now >= until || !self.is_busy()) {
                self.seen.failed += self.unanswered();
                return Ok(self.seen);
            }
            self.wait(until, &mut events)?;
            for event in events.drain(..) {
                let number = usize::try_from(event.data.u64()).map_err(io::Error::other)?;
                self.read(number, &mut buffer, counted_from)?;
            }
        }
    }

    /// Waits for answers until the next request is due. It never sleeps: to be woken in time costs
    /// a virtual machine more than a request does, and the core is there for the load alone. The
    /// backends beside it go first.
    fn wait(&self, until: Instant, events: &mut Vec<epoll::Event>) -> io::Result<()> {
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        loop {
            let room = rustix::buffer::spare_capacity(events);
            match epoll::wait(&self.epoll, room, Some(&none)) {
                Ok(0) | Err(rustix::io::Errno::INTR) if Instant::now() < until => sched_yield(),
                Ok(_) | Err(rustix::io::Errno::INTR) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends what is due, as far as there are connections.
    fn send(&mut self) -> io::Result<()> {
        while let Some(&scheduled) = self.late.front() {
            let Some(number) = self.idle.pop_front() else {
                return Ok(());
            };
            self.late.pop_front();
            if self.lines[number].send(&self.request, scheduled).is_err() {
                self.renew(number)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, number: usize, buffer: &mut [u8], from: Instant) -> io::Result<()> {
        match self.lines[number].read(buffer) {
            Ok(None) => Ok(()),
            Ok(Some(scheduled)) => {
                self.seen.answered += 1;
                if scheduled >= from {
                    let latency = scheduled.elapsed().as_nanos();
                    self.seen
                        .latency
                        .saturating_record(u64::try_from(latency).unwrap_or(u64::MAX));
                }
                self.idle.push_back(number);
                Ok(())
            }
            Err(_) => self.renew(number),
        }
    }

    /// Replaces a connection that broke; the request that was on it has failed.
    fn renew(&mut self, number: usize) -> io::Result<()> {
        let was_idle = !self.lines[number].is_busy();
        if !was_idle {
            self.seen.failed += 1;
        }
        self.lines[number] = Line::new(self.address)?;
        if !was_idle {
            self.idle.push_back(number);
        }
        self.watch(number)
    }

    fn watch(&self, number: usize) -> io::Result<()> {
        let data = EventData::new_u64(u64::try_from(number).map_err(io::Error::other)?);
        epoll::add(
            &self.epoll,
            &self.lines[number].stream,
            data,
            EventFlags::IN,
        )?;
        Ok(())
    }

    fn is_busy(&self) -> bool {
        !self.late.is_empty() || self.idle.len() < self.lines.len()
    }

    fn unanswered(&self) -> u64 {
        let waiting = self.late.len() + self.lines.len() - self.idle.len();
        u64::try_from(waiting).unwrap_or(u64::MAX)
    }
}
