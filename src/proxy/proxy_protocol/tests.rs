//! Headers as they are sent, cut, bent and made of chance.

use proptest::prelude::*;

use super::*;

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE.as_slice(), &[command, family], &length, rest].concat()
}

/// Addresses of version 2 over IPv4, and fields behind them.
fn v4(fields: &[u8]) -> Vec<u8> {
    let addresses = [192, 0, 2, 7, 10, 0, 0, 9, 0xc7, 0x38, 0x01, 0xbb];
    v2(0x21, 0x11, &[&addresses, fields].concat())
}

fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind], length.as_slice(), value].concat()
}

fn between(client: &str, server: &str) -> Ends {
    Ends {
        client: client.parse().unwrap(),
        server: server.parse().unwrap(),
    }
}

/// What a header says, with anything behind it; each shorter piece of it is a part.
#[track_caller]
fn says(bytes: &[u8], ends: Option<Ends>, vpc_endpoint: Option<&str>) {
    let header = Header {
        ends,
        vpc_endpoint: vpc_endpoint.map(Into::into),
    };
    let longer = [bytes, b"GET / HTTP/1.1\r\n"].concat();
    let shown = bytes.escape_ascii().to_string();
    assert_eq!(
        read(&longer),
        Reading::Whole(header, bytes.len()),
        "{shown}"
    );
    for cut in 0..bytes.len() {
        assert_eq!(read(&bytes[..cut]), Reading::Partial, "{cut} of {shown}");
    }
}

#[track_caller]
fn is_broken(bytes: &[u8], broken: Broken) {
    let shown = bytes.escape_ascii().to_string();
    assert_eq!(read(bytes), Reading::Broken(broken), "{shown}");
}

#[test]
fn lines_say_who_connected() {
    let ends = Some(between("192.0.2.7:51000", "10.0.0.9:443"));
    says(b"PROXY TCP4 192.0.2.7 10.0.0.9 51000 443\r\n", ends, None);
    let ends = Some(between("[2001:db8::7]:1", "[::1]:0"));
    says(b"PROXY TCP6 2001:db8::7 ::1 1 0\r\n", ends, None);
    says(b"PROXY UNKNOWN\r\n", None, None);
    says(b"PROXY UNKNOWN ffff:f...f ::1 1 2 anything\r\n", None, None);
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    assert_eq!(longest.len(), 107);
    says(longest.as_bytes(), None, None);
}

#[test]
fn lines_that_are_not_exact_are_broken() {
    let lines = [
        "PROXY TCP4 192.0.2.7 10.0.0.9 51000 443\n",
        "PROXY TCP4 192.0.2.7 10.0.0.9 51000 443\r\r\n",
        "PROXY TCP4  192.0.2.7 10.0.0.9 51000 443\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.9 51000 443 \r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.9 51000\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.9 51000 443 1\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.9 +51000 443\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.9 051000 443\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.9 65536 443\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.9 -1 443\r\n",
        "PROXY TCP4 192.0.2.07 10.0.0.9 51000 443\r\n",
        "PROXY TCP4 192.0.2 10.0.0.9 51000 443\r\n",
        "PROXY TCP4 ::1 ::1 51000 443\r\n",
        "PROXY TCP6 192.0.2.7 10.0.0.9 51000 443\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 51000 443\r\n",
        "PROXY TCP5 192.0.2.7 10.0.0.9 51000 443\r\n",
        "PROXY tcp4 192.0.2.7 10.0.0.9 51000 443\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY UNKNOWN\t\r\r\n",
        "PROXY \r\n",
        "PROXY / HTTP/1.1\r\n",
    ];
    for line in lines {
        is_broken(line.as_bytes(), Broken::Line);
    }
    is_broken(b"PROXY TCP4 \xff\r\n", Broken::Line);
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(93));
    is_broken(endless.as_bytes(), Broken::Endless);
    let late = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    is_broken(late.as_bytes(), Broken::Endless);
}

#[test]
fn binary_headers_say_who_connected() {
    let ends = Some(between("192.0.2.7:51000", "10.0.0.9:443"));
    says(&v4(b""), ends, None);
    let mut addresses = [0; 36];
    addresses[15] = 7;
    addresses[31] = 9;
    addresses[33] = 5;
    addresses[35] = 6;
    let ends = Some(between("[::7]:5", "[::9]:6"));
    says(&v2(0x21, 0x21, &addresses), ends, None);
    says(&v2(0x21, 0x31, &[0; 216]), None, None);
    says(&v2(0x21, 0x00, b"what is not known"), None, None);
    says(&v2(0x21, 0x00, b""), None, None);
}

#[test]
fn the_one_before_us_may_speak_for_itself() {
    says(&v2(0x20, 0x00, b""), None, None);
    says(&v2(0x20, 0x11, &[1; 12]), None, None);
    says(&v2(0x20, 0xff, b"skipped"), None, None);
}

#[test]
fn aws_tells_the_vpc_endpoint() {
    let sent = include_bytes!("../../../tests/fixtures/proxy-protocol/aws-vpc-endpoint.bin");
    let ends = Some(between("203.0.113.7:51000", "10.0.0.9:443"));
    says(sent, ends, Some("vpce-08d2bf15fac5001c9"));
    let ends = Some(between("192.0.2.7:51000", "10.0.0.9:443"));
    says(&v4(&field(0xea, b"\x02other")), ends, None);
    says(&v4(&field(0xea, b"")), ends, None);
    is_broken(&v4(&field(0xea, b"\x01a\r\nb")), Broken::Field);
    is_broken(
        &v4(&field(0xea, &[b"\x01".as_slice(), &[b'x'; 65]].concat())),
        Broken::Field,
    );
}

#[test]
fn fields_are_walked_to_their_end() {
    let ends = Some(between("192.0.2.7:51000", "10.0.0.9:443"));
    let fields = [
        field(0x04, b"padding"),
        field(0x05, &[1; 128]),
        field(0x99, b""),
    ]
    .concat();
    says(&v4(&fields), ends, None);
    let inside = [&[1, 0, 0, 0, 0], field(0x21, b"TLSv1.3").as_slice()].concat();
    says(&v4(&field(0x20, &inside)), ends, None);
    is_broken(&v4(&field(0x05, &[1; 129])), Broken::Field);
    is_broken(&v4(&field(0x20, &[1, 0, 0, 0])), Broken::Field);
    is_broken(
        &v4(&field(0x20, &[1, 0, 0, 0, 0, 0x21, 0, 9])),
        Broken::Short,
    );
    is_broken(&v4(&[0x04]), Broken::Short);
    is_broken(&v4(&[0x04, 0, 1]), Broken::Short);
    is_broken(&v4(&[0x04, 0xff, 0xff, 1]), Broken::Short);
}

#[test]
fn a_checksum_must_be_right() {
    let ends = Some(between("192.0.2.7:51000", "10.0.0.9:443"));
    for behind in [&b""[..], b"\x04\x00\x02ab"] {
        let mut header = v4(&[field(0x03, &[0; 4]).as_slice(), behind].concat());
        let at = header.len() - behind.len() - 4;
        let sum = tlv::checksum(&header, at);
        header[at..at + 4].copy_from_slice(&sum.to_be_bytes());
        says(&header, ends, None);
        // Without its type it is no checksum.
        for bent in (0..header.len()).filter(|bent| *bent != at - 3) {
            let mut header = header.clone();
            header[bent] ^= 0x10;
            let read = read(&header);
            assert!(
                !matches!(read, Reading::Whole(Header { ends: Some(_), .. }, _)),
                "{bent}"
            );
        }
    }
    let twice = [field(0x03, &[0; 4]), field(0x03, &[0; 4])].concat();
    is_broken(&v4(&twice), Broken::Checksum);
    is_broken(&v4(&field(0x03, &[0; 3])), Broken::Checksum);
    // The check value of CRC-32C.
    assert_eq!(tlv::checksum(b"123456789", 100), 0xe306_9283);
}

#[test]
fn binary_headers_that_cannot_be_are_broken_at_once() {
    is_broken(&v2(0x11, 0x11, &[0; 12])[..13], Broken::Command);
    is_broken(&v2(0x22, 0x11, &[0; 12])[..13], Broken::Command);
    is_broken(&v2(0x21, 0x11, &[0; 4_097])[..16], Broken::Long);
    is_broken(&v2(0x21, 0x11, &[0; 11]), Broken::Short);
    is_broken(&v2(0x21, 0x21, &[0; 35]), Broken::Short);
    is_broken(&v2(0x21, 0x31, &[0; 215]), Broken::Short);
    for family in [0x10, 0x12, 0x22, 0x32, 0x01, 0x41, 0x13] {
        is_broken(&v2(0x21, family, &[0; 216]), Broken::Family);
    }
}

#[test]
fn a_connections_own_bytes_are_no_header() {
    let own: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n",
        b"POST / HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"proxy TCP4",
        b"\r\nGET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
    ];
    for bytes in own {
        assert_eq!(read(bytes), Reading::Absent);
    }
    assert_eq!(read(b""), Reading::Partial);
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
    ];
    (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

proptest! {
    #[test]
    fn what_is_written_is_read(client in address(), server in address()) {
        let ends = Ends { client, server };
        for write in [write_v1, write_v2] {
            let mut header = Vec::new();
            write(ends, &mut header);
            let Reading::Whole(read, length) = read(&header) else {
                panic!("{}", header.escape_ascii());
            };
            prop_assert_eq!(length, header.len());
            let same = |one: SocketAddr, other: SocketAddr| {
                one.port() == other.port() && one.ip().to_canonical() == other.ip().to_canonical()
            };
            let read = read.ends.unwrap();
            prop_assert!(same(read.client, client) && same(read.server, server), "{:?}", read);
        }
    }

    #[test]
    fn nothing_makes_it_panic_or_read_too_far(
        begun in prop_oneof![
            Just(b"PROXY ".to_vec()),
            Just(v2(0x21, 0x11, b"")[..14].to_vec()),
            Just(v2(0x21, 0x21, b"")[..14].to_vec()),
            Just(v4(b"")),
            Just(Vec::new()),
        ],
        rest in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = [begun, rest].concat();
        if let Reading::Whole(header, length) = read(&bytes) {
            prop_assert!(length <= bytes.len());
            prop_assert_eq!(read(&bytes[..length]), Reading::Whole(header, length));
            prop_assert_eq!(read(&bytes[..length - 1]), Reading::Partial);
        }
    }

    #[test]
    fn a_byte_that_is_bent_never_reads_too_far(at in 0_usize..60, byte in any::<u8>()) {
        let mut header = v4(&field(0xea, b"\x01vpce-1"));
        if let Some(place) = header.get_mut(at) {
            *place = byte;
        }
        if let Reading::Whole(_, length) = read(&header) {
            prop_assert!(length <= header.len());
        }
    }
}

#[test]
fn a_connection_of_our_own_is_told_as_one() {
    let mut header = Vec::new();
    write_v2_local(&mut header);
    says(&header, None, None);
}
