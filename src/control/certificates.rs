//! Certificates that end: people are told once a day, from two weeks before.

use std::time::Duration;

use super::{Control, files::about_file, reload::ends, turn::Turn};
use crate::model::{ListenerName, Moment};

/// How often people are told.
const TELL_EVERY: Duration = Duration::from_hours(24);

impl Control {
    /// When the first certificate of each listener ends, by name.
    pub(super) fn certificate_ends(&self) -> Vec<(ListenerName, Moment)> {
        let servers = self.in_force.tls.servers.iter();
        let ends = servers.filter_map(|(name, tls)| Some((name.clone(), tls.not_after()?)));
        let mut ends: Vec<_> = ends.collect();
        ends.sort();
        ends
    }

    /// A day after they were read, and each day after that.
    pub(super) fn remind_of_certificates(&mut self, now: Moment, turn: &mut Turn) {
        if now.since(self.certificates_told) < TELL_EVERY {
            return;
        }
        self.certificates_told = now;
        let mut texts: Vec<String> = Vec::new();
        for (owner, dated) in self.in_force.tls.certificates() {
            if let Some(words) = ends(dated.not_after, now) {
                let path = dated.path.display();
                texts.push(format!("{owner}: the certificate {path} {words}"));
            }
        }
        texts.sort();
        let news = texts
            .into_iter()
            .map(|text| about_file(now, "certificate_ends", text, true));
        turn.news.extend(news);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::control::{Control, Event, News, Opened, Setup, read_config};

    /// Control of a listener whose certificate ends at noon of a day, and when that is.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test is the person who saves"
    )]
    fn control(directory: &Path) -> (Opened, Moment) {
        let mut params = rcgen::CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2_100, 1, 20);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = |name: &str| directory.join(name);
        fs::write(file("web.pem"), certificate.pem()).unwrap();
        fs::write(file("web.key"), key.serialize_pem()).unwrap();
        let place = directory.display();
        let text = format!(
            "listeners: [{{ name: web, address: \"127.0.0.1:0\", tls: {{ \
             certificates: [{{ cert: {place}/web.pem, key: {place}/web.key }}] }} }}]\n\
             upstreams: {{ a: {{ static: [\"127.0.0.1:1\"] }} }}\n\
             splits: {{ s: {{ stable: a }} }}\n"
        );
        fs::write(file("serin.yaml"), text).unwrap();
        let loaded = read_config(&file("serin.yaml")).unwrap();
        let ends = loaded.tls.certificates().next().unwrap().1.not_after;
        let setup = Setup {
            path: None,
            loaded,
            state_dir: None,
        };
        let begins = Moment::from_micros(ends.micros() - 16 * 86_400_000_000);
        (Control::open_at(setup, begins), begins)
    }

    #[test]
    fn people_are_told_once_a_day_in_the_last_two_weeks() {
        let directory = tempfile::tempdir().unwrap();
        let (opened, begins) = control(directory.path());
        let (mut control, mut news) = (opened.control, opened.handle.news());
        let mut told: Vec<String> = Vec::new();
        for hour in 0..=96 {
            control.on(Event::Tick, begins + Duration::from_hours(hour));
            while let Ok(News { what, text, .. }) = news.try_recv() {
                assert_eq!(what, "certificate_ends");
                told.push(text);
            }
        }
        let place = directory.path().display();
        let line =
            |days| format!("listener web: the certificate {place}/web.pem expires in {days} days");
        assert_eq!(told, [line(13), line(12)]);
    }
}
