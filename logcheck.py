#!/bin/sh
''':' # sh reads up to exec: Python from PATH, and (-IS) nobody else's modules in a root process
exec python3 -IS "$0" "$@"

logcheck.py: feed attackers found in maillog and authlog to pf's bruteforce table.

Every night it reads the last day of both logs, picks out attackers' addresses, merges them with
pf's table and the file that table is loaded from, and has pf load the result. It does what the
shell script /root/logcheck.sh does (grep, awk, sort, uniq), byte for byte, and is called in its
place from /etc/daily.local. The functions stand in the order of that pipeline; main() shows it
whole. `logcheck.py -h` is the manual, README tells the rest.

Copyright (c) 2026 the logcheck.py authors

Permission to use, copy, modify, and distribute this software for any purpose with or without
fee is hereby granted, provided that the above copyright notice and this permission notice
appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS
SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE
AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT,
NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE
OF THIS SOFTWARE.
'''
import sys

if __name__ == "__main__" and not sys.flags.isolated:
    # called as "python3 logcheck.py": still nobody else's modules
    sys.path[:] = [path for path in sys.path if path.startswith(sys.base_prefix + "/lib")]

import contextlib
import errno
import fcntl
import itertools
import marshal
import operator
import os
import re
import signal
import stat
import time
from _socket import inet_aton, inet_ntoa  # of socket, without what that imports for 4 ms more

# The shell script's own names: edits to it carry over.
ETCFILE = "/etc/bruteforce"  # from which bruteforcers are loaded into pf
MAILLOG = "/var/log/maillog"
AUTHLOG = "/var/log/authlog"
PF_CONF = "/etc/pf.conf"
TABLE = "bruteforce"

DAYS = 1  # of 86400 seconds, whatever daylight saving does
COUNT = 5  # careful mode: countable failures that make an attacker
WAIT = 60  # seconds to wait for a rival's lock, or for somebody to write to a log that is a FIFO
ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)  # what ends a run from outside
BLOCK = 256 * 1024  # bytes read at a time
SAMPLE = 16384  # bytes of it from which to tell whether a word in it is rare
LARGE = 4 * BLOCK  # bytes of log from which on a process of its own pays
OPEN = 50  # logs open at a time: OpenBSD gives a daemon 128 files

USAGE = """\
usage: logcheck.py [-cnv] [-a authlog] [-d days] [-e etcfile] [-f pf.conf]
                   [-k count] [-m maillog] [-t table] [-w file]
                   [--mail address] [--no-pf] [--now time]
Put the attackers that maillog and authlog name into pf's bruteforce table.
  -m, --maillog FILE  read FILE instead of /var/log/maillog; may be repeated
  -a, --authlog FILE  read FILE instead of /var/log/authlog; may be repeated;
                      for both, - is standard input, and .gz, .bz2 and .xz
                      are unpacked
  -e, --etcfile FILE  the file that holds the table; /etc/bruteforce
  -f, --pf-conf FILE  the ruleset for pf to load; /etc/pf.conf
  -t, --table NAME    pf's table; bruteforce
  -d, --days N        look at the last N days; 1
  -n, --dry-run       print the new table; write, load and mail nothing
  -v, --verbose       report on stderr what was read, found and left out
  -c, --careful       real dates, rotated logs too, and only what a daemon
                      itself says of its peer, over IPv4 and IPv6
  -k, --count N       with -c: failures that may be a user's own count from
                      N on; 5
  -w, --allow FILE    keep the addresses and networks in FILE (one a line,
                      # comments) out of the table, whoever put them there
      --mail ADDRESS  when addresses were added, send the report there
      --no-pf         neither ask pf for its table nor have it load one
      --now TIME      run as if at TIME: epoch seconds, or local
                      YYYY-MM-DD HH:MM[:SS]
      --version       print the version
  -h, --help          print this
Exit: 0 done, 1 something failed (stderr says what), 2 wrong usage.
logcheck.py -cnv shows what careful mode would do, and changes nothing.
"""
VERSION = "logcheck.py 1.0"

# Careful mode's rules: what the daemons write of an attacking peer, in the order in which they are
# tried: (daemon, verdict, why, pattern). A pattern is the whole message after "program[pid]: ", and
# <IP> stands where the daemon puts the peer. Nothing that an attacker types can move that place:
# - typed text before the address is taken greedily, so that the last address counts, and from there
#   to the end stand the daemon's own words alone; before typed text after it, all is fixed;
# - sshd cuts a message at 500 bytes, so a long line may end in typed text (a user name that ends in
#   " 203.0.113.9 port 22"): the bounds below keep typed text shorter than that.
# Verdicts:
# - SURE: one such line is enough.
# - LEFT: it is, unless a DELIVERED line tells of mail that this address delivered (Postfix 2).
# - BROKE: it is, if an UNGREETED line of the same process came before; otherwise a login may have,
#   and it counts as a failure.
# - (kind, witness): a countable failure. One attempt is often logged more than once; an address
#   scores, for each kind, the most that one witness tells. (?P<n>) is the attempts the line states.
# - PEER: not a failure; it names the address of a session that later lines go by.
SURE, LEFT, DELIVERED, BROKE, UNGREETED = "sure", "left", "delivered", "broke", "ungreeted"
PEER, AGAIN = "peer", "again"
SSH, MTA = "ssh login", "smtp reject"
MAIL = "mail login"  # one kind for SMTP, IMAP and POP3: Dovecot often checks Postfix' passwords

# The name before "[pid]:" tells the daemon. With a slash in it, it is Postfix.
DAEMONS = (
    (rb"sshd(?:-session|-auth)?(?:\[(?P<pid>\d+)\])?", b"sshd"),
    (rb"[\w./-]+/(?:smtpd|postscreen)(?:\[\d+\])?", b"postfix"),
    (rb"(?:dovecot(?:-auth)?|auth|(?:imap|pop3|managesieve|submission)-login)(?:\[\d+\])?",
     b"dovecot"),
    (rb"smtpd(?:\[\d+\])?", b"opensmtpd"),
)

# "Apr  8 12:00:00 mail " (apart, for speed), or with RFC 3339's stamp, or <facility.priority>, or
# an IPv6 address for the host; what follows is the first word that ends in a colon
STAMP_AND_HOST = (rb"(?:[A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d [\w.-]+ |"
                  rb"[^:]*:\d\d:\d\d[^: ]{0,20}(?::\d\d)?(?: [\da-fA-F:]+(?= ))?[^:]* )")

# rsyslog's way to say that a program said the same N times; sshd's prefixes are not its message
REPEATED = (rb"(?:message repeated (?P<DAEMON>\d{1,6}) times: \[ (?=.*\]\r?\Z))?"
            rb"(?:error: |fatal: )?(?:%s)(?(DAEMON)\])")

# Short names in the patterns, replaced in this order.
FIELDS = (
    (b"<USER>", rb".{0,300}"),  # typed; sshd makes up to four bytes of one
    (b"<PORT>", rb"(?: port \d{1,5})?"),  # since OpenSSH 7
    (b"<PRE>", rb"(?: \[preauth\])?"),  # since OpenSSH 5.9
    (b"<HOST>", rb"[\w.-]+\[<IP>\](?::\d+)?"),  # Postfix allows no other bytes here
    (b"<PAM>", rb"logname=\S* uid=\d+ euid=\d+ tty=\S* ruser=\S* rhost=<IP>\s*"),
    (b"<ID>", rb"(?P<session>[0-9a-f]{16})"),
    (b"<IP>", rb"(?P<ip>\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
              rb"|[\da-fA-F]{0,4}:[\da-fA-F]{0,4}:[\da-fA-F]{0,4}(?::[\da-fA-F]{0,4}){0,5}"
              rb"(?:\.\d{1,3}\.\d{1,3}\.\d{1,3})?)"),
)

RULES = (
    # Invalid user admin from 192.0.2.1 port 40022
    (b"sshd", SURE, "unknown user", rb"(?:Invalid|Illegal) user .{0,400} from <IP><PORT><PRE>"),
    # Failed publickey for invalid user git from 192.0.2.1 port 40022 ssh2: RSA SHA256:nThbg6kX
    (b"sshd", SURE, "unknown user",
     rb"(?:Failed|Postponed) \S{1,30} for (?:invalid|illegal) user <USER> from <IP> port \d{1,5}"
     rb"(?: ssh\d)?(?: \[preauth\]|: [A-Z\d-]{1,20} [\w:+/=]{1,60})?"),
    # Failed password for root from 192.0.2.1 port 40022 ssh2
    (b"sshd", SURE, "root failed",
     rb"Failed (?:password|keyboard-interactive\S{0,30}|challenge-response) for root from <IP>"
     rb" port \d{1,5}(?: ssh\d)?"),
    # Failed password for bob from 192.0.2.1 port 40022 ssh2
    (b"sshd", (SSH, "sshd"), "failed password",
     rb"Failed (?:password|keyboard-interactive\S{0,30}|challenge-response) for <USER> from <IP>"
     rb" port \d{1,5}(?: ssh\d)?"),
    # error: maximum authentication attempts exceeded for bob from 192.0.2.1 port 40022 ssh2
    # Disconnecting authenticating user bob 192.0.2.1 port 40022: Too many authentication failures
    (b"sshd", SURE, "too many attempts",
     rb"(?:maximum authentication attempts exceeded for <USER> from |Disconnecting "
     rb"(?:(?:invalid|authenticating) user [^:]{0,300} )?)<IP> port \d{1,5}"
     rb"(?: ssh\d|: Too many authentication failures)<PRE>"),
    # Disconnecting invalid user a 192.0.2.1 port 40022: Change of username or service not allowed:
    #   (a,ssh-connection) -> (b,ssh-connection) [preauth]   (typed on both sides: no blank in it)
    (b"sshd", SURE, "changed the user",
     rb"Disconnecting (?:invalid|authenticating) user \S{0,100} <IP> port \d{1,5}: Change of "
     rb"username or service not allowed: \S{1,100} -> \S{1,100}<PRE>"),
    # User bob from 192.0.2.1 not allowed because not listed in AllowUsers
    (b"sshd", SURE, "user not allowed", rb"User <USER> from <IP> not allowed because [\w' ]+"),
    # pam_access(sshd:account): access denied for user `bob' from `192.0.2.1'
    (b"sshd", SURE, "user not allowed",
     rb"pam_access\(\S{1,30}\): access denied for user `<USER>' from `<IP>'"),
    # Authentication tried for bob with correct key but not from a permitted host
    #   (host=a.example.net, ip=192.0.2.1).
    (b"sshd", (SSH, "sshd"), "key not for this host",
     rb"Authentication tried for <USER> with correct key but not from a permitted host "
     rb"\(host=\S+, ip=<IP>(?:, required=\S+)?\)\."),
    # Did not receive identification string from 192.0.2.1 port 40022
    # ROOT LOGIN REFUSED FROM 192.0.2.1 port 40022
    # Bad protocol version identification 'GET / HTTP/1.1' from 192.0.2.1 port 40022
    (b"sshd", SURE, "no or bad identification, or root",
     rb"(?:Did not receive identification string from|ROOT LOGIN REFUSED FROM|"
     rb"Bad protocol version identification '.{0,380}' from) <IP><PORT><PRE>"),
    # banner exchange: Connection from 192.0.2.1 port 40022: invalid format
    (b"sshd", SURE, "no or bad identification",
     rb"banner exchange: Connection from <IP> port \d{1,5}: [\w ,.'/()-]{1,80}<PRE>"),
    # Unable to negotiate with 192.0.2.1 port 40022: no matching host key type found. Their offer: x
    # Protocol major versions differ for 192.0.2.1 port 40022: SSH-2.0-OpenSSH_7.4 vs. SSH-1.5-scan
    (b"sshd", SURE, "nothing in common",
     rb"(?:Unable to negotiate with|Protocol major versions differ for) <IP><PORT>: .*"),
    # probed from 192.0.2.1 port 40022 with SSH-1.0-SSH_Version_Mapper.  Don't panic.
    # Connection from 192.0.2.1 port 40022 with IP opts:  83 07 04
    (b"sshd", SURE, "probed", rb"(?:probed|scanned|Connection) from <IP><PORT> with .*"),
    # refused connect from scanner.example.net (192.0.2.1)
    (b"sshd", SURE, "refused by hosts.deny", rb"refused connect from (?:\S+ \()?<IP>\)?"),
    # Received disconnect from 192.0.2.1 port 40022:14: No supported authentication methods
    (b"sshd", (SSH, "disconnect"), "gave up during authentication",   # 13: cancelled by the user
     rb"Received disconnect from <IP><PORT>: ?1[34]: .*"),
    # Received disconnect from 192.0.2.1 port 40022:11: Bye Bye [preauth]
    # error: Received disconnect from 192.0.2.1: 3: com.jcraft.jsch.JSchException: Auth fail
    (b"sshd", SURE, "left before authentication",
     rb"Received disconnect from <IP><PORT>: ?\d+: .*(?: \[preauth\]|: Auth (?:fail|cancel))"),
    # Connection closed by invalid user admin 192.0.2.1 port 40022 [preauth]
    (b"sshd", SURE, "unknown user, or root",
     rb"(?:Connection (?:closed|reset) by|Disconnected from)"
     rb" (?:invalid user <USER>|authenticating ?user root) <IP> port \d{1,5}<PRE>"),
    # Connection closed by authenticating user bob 192.0.2.1 port 40022 [preauth]
    (b"sshd", (SSH, "closed"), "left during authentication",
     rb"(?:Connection (?:closed|reset) by|Disconnected from) authenticating ?user <USER> <IP>"
     rb" port \d{1,5}<PRE>"),
    # Disconnected from 192.0.2.1 port 40022 [preauth]
    (b"sshd", SURE, "left before authentication",
     rb"(?:Connection (?:closed|reset) by|Disconnected from) <IP><PORT> \[preauth\]"),
    # error: kex_exchange_identification: Connection closed by remote host
    # Connection closed by 192.0.2.1 port 40022    (alone, LogLevel VERBOSE: also a broken session)
    # (a rule is told by its groups: the first of these names no address, so it has one for that)
    (b"sshd", UNGREETED, "", rb"kex_exchange_identification: (?P<how>Connection closed|read: ).*"),
    (b"sshd", BROKE, "left before authentication",
     rb"Connection (?:closed|reset) by <IP> port \d{1,5}"),
    # ssh_dispatch_run_fatal: Connection from 192.0.2.1 port 40022: Connection corrupted [preauth]
    (b"sshd", SURE, "broken protocol",
     rb"\w{1,40}: Connection (?:from|to) (?:invalid user <USER> |authenticating ?user root )?<IP>"
     rb"<PORT>: [\w ,.'/()-]{1,60} \[preauth\]"),
    # fatal: Timeout before authentication for 192.0.2.1 port 40022
    # Timeout before authentication for connection from 192.0.2.1 to 198.51.100.1, pid = 4711
    (b"sshd", (SSH, "timeout"), "timeout before authentication",
     rb"Timeout before authentication for (?:connection from )?<IP>"
     rb"(?: port \d{1,5}| to \S+, pid = .*)?"),
    # srclimit_penalise: ipv4: new 192.0.2.1/32 deferred penalty of 5 seconds for penalty: failed
    #   authentication                                        (an honest user gets that one as well)
    (b"sshd", (SSH, "penalty"), "penalty for failed logins",
     rb"srclimit_penalise: (?:ipv\d: new )?<IP>/(?:32|128):? [\w ]+ for penalty: "
     rb"(?:failed authentication|exceeded LoginGraceTime)"),
    # drop connection #0 from [192.0.2.1]:40022 on [198.51.100.1]:22 penalty: failed authentication
    (b"sshd", SURE, "penalty",
     rb"(?:drop connection #\d+ from \[|srclimit_penalise: (?:ipv\d: new )?)<IP>(?:\]:\d+ on \[\S+|"
     rb"/(?:32|128):? [\w ]+ for) penalty: [\w ]+"),
    # error: PAM: User not known to the underlying authentication module for illegal user x from
    #   192.0.2.1
    (b"sshd", SURE, "unknown user, or root",
     rb"PAM: [\w ,'-]{1,99} for (?:illegal user <USER>|root) from <IP><PRE>"),
    # error: PAM: Authentication failure for bob from 192.0.2.1
    (b"sshd", (SSH, "PAM error"), "failed password",
     rb"PAM: [\w ,'-]{1,99} for <USER> from <IP><PRE>"),
    # pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser=
    #   rhost=192.0.2.1  user=root
    (b"sshd", SURE, "root failed",
     rb"pam_\w+\(\S{1,30}\): authentication failure; <PAM>user=root"),
    # PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1
    (b"sshd", (SSH, "pam_unix"), "failed password",
     rb"(?:pam_unix\(\S{1,30}\):|\(pam_unix\)|PAM (?P<n>\d{1,6}) more) authentication failures?; "
     rb"<PAM>(?:user=.*)?"),
    # pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser=
    #   rhost=192.0.2.1 user=bob
    (b"sshd", (SSH, "another PAM module"), "failed password",
     rb"pam_\w+\(\S{1,30}\): authentication failure; <PAM>(?:user=.*)?"),

    # disconnect from unknown[192.0.2.1] ehlo=1 auth=0/1 quit=1 commands=2/3
    (b"postfix", SURE, "unknown client, no login, no delivery",
     rb"disconnect from unknown\[<IP>\](?::\d+)?(?!.* (?:auth|data|bdat)=[1-9]) .*"),
    # disconnect from unknown[192.0.2.1]                                          (before Postfix 3)
    (b"postfix", LEFT, "unknown client, no delivery",
     rb"disconnect from unknown\[<IP>\](?::\d+)?"),
    # 4F1A2B3C4D: client=unknown[192.0.2.1]
    (b"postfix", DELIVERED, "", rb"\w+: client=unknown\[<IP>\](?::\d+)?(?:, .*)?"),
    # disconnect from host.example.net[192.0.2.1] ehlo=1 auth=0/3 commands=1/4
    (b"postfix", (MAIL, "auth=0/N"), "failed login",
     rb"disconnect from <HOST>(?: (?:helo|ehlo|starttls)=\S+){0,3} auth=0/(?P<n>\d{1,6})(?: .*)?"),
    # warning: host.example.net[192.0.2.1]: SASL LOGIN authentication failed: UGFzc3dvcmQ6,
    #   sasl_username=bob       (but not when the login service is out of order)
    (b"postfix", (MAIL, "SASL"), "failed login",
     rb"warning: <HOST>: SASL \S+ authentication failed"
     rb"(?!: (?:Connection lost|[Gg]eneric failure|Temporary)).*"),
    # warning: AUTH command rate limit exceeded: 11 from a.example.net[192.0.2.1] for service smtp
    (b"postfix", (MAIL, "rate"), "too many logins",
     rb"warning: AUTH command rate limit exceeded: \d+ from <HOST> for service \S+"),
    # improper command pipelining after EHLO from unknown[192.0.2.1]: QUIT\r\n
    # warning: non-SMTP command from unknown[192.0.2.1]: GET / HTTP/1.1
    (b"postfix", SURE, "abuse of the protocol",
     rb"(?:improper command pipelining after [\w -]+|warning: non-SMTP command) from <HOST>"
     rb"(?:: .*)?"),
    # too many errors after RCPT from host.example.net[192.0.2.1]
    (b"postfix", SURE, "too many errors",
     rb"(?:\w+: )?too many errors after [\w -]+(?: \(\d+ bytes\))? from <HOST>"),
    # lost connection after CONNECT from unknown[192.0.2.1]   (3.10: "NOQUEUE: lost connection ...")
    (b"postfix", SURE, "unknown client broke off",
     rb"(?:\w+: )?(?:lost connection|timeout) after (?:CONNECT|HELO|EHLO|STARTTLS|UNKNOWN|VRFY|"
     rb"HELP) from unknown\[<IP>\](?::\d+)?"),
    # lost connection after AUTH from host.example.net[192.0.2.1]
    (b"postfix", (MAIL, "broke off"), "broke off after AUTH",
     rb"(?:\w+: )?(?:lost connection|timeout) after AUTH from <HOST>"),
    # NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 454 4.7.1 <a@example.org>: Relay access denied;
    #   from=<b@example.net> to=<a@example.org> proto=ESMTP helo=<x>   (another end after a login)
    (b"postfix", (MTA, "reject"), "rejected relaying or recipient",
     rb"\w+: reject: (?:CONNECT|HELO|EHLO|MAIL|RCPT|VRFY|ETRN) from [\w.-]*\[<IP>\](?::\d+)?: "
     rb"(?:454 [\d.]+ (?=.*Relay access denied)|450 4\.1\.1 |450 4\.7\.\d+ Client host rejected: "
     rb"cannot|5(?!52)\d\d )(?:.*(?:>|proto=\w+)|.{1600,})"),  # cut at 2000 bytes
    # DNSBL rank 6 for [192.0.2.1]:40025
    (b"postfix", (MTA, "DNSBL"), "on block lists",
     rb"(?:DNSBL rank \d+ for|(?:BLACK|DENY)LISTED) \[<IP>\](?::\d+)?"),
    # PREGREET 14 after 0.04 from [192.0.2.1]:40025: EHLO x\r\n
    # HANGUP after 0.3 from [192.0.2.1]:40025 in tests before SMTP handshake
    # COMMAND PIPELINING from [192.0.2.1]:40025 after HELO: MAIL FROM:<a@example.net>
    (b"postfix", SURE, "failed postscreen's tests",
     rb"(?:(?:PREGREET \d+|HANGUP) after [\d.]+|COMMAND (?:COUNT|TIME|LENGTH) LIMIT|COMMAND "
     rb"PIPELINING|BARE NEWLINE|NON-SMTP COMMAND) from \[<IP>\](?::\d+)?(?::| in| after) .*"),

    # imap-login: Disconnected (auth failed, 3 attempts in 14 secs): user=<bob>, method=PLAIN,
    #   rip=192.0.2.1, lip=198.51.100.1, TLS, session=<Jd8F2>
    # imap-login: Login aborted: Connection closed (auth failed, 1 attempts in 2 secs)
    #   (auth_failed): user=<bob>, method=PLAIN, rip=192.0.2.1, lip=198.51.100.1, session=<Jd8F2>
    (b"dovecot", (MAIL, "login process"), "failed login",
     rb"(?:[\w-]+-login: )?(?:(?:Info|Warning|Error): )?"
     rb"(?:Disconnected|Aborted login|Login aborted)[^<]*\("
     rb"(?:auth failed|authorization failed|user disabled|anonymous logins disabled|"
     rb"sent invalid base64 in response|proxy dest auth\w* fail\w+|tried to use [\w ]+)"
     rb"(?:, (?P<n>\d{1,6}) attempts)?(?: in \d+ secs)?\)(?: \(\w+\))?"
     rb": user=<.*>, (?:method=[^ ]*, )?rip=<IP>, .*"),
    # auth-worker(71): conn unix:auth-worker (pid=70,uid=97): auth-worker<1>:
    #   pam(bob,192.0.2.1,<Jd8F2>): pam_authenticate() failed: Authentication failure
    # auth(bob,192.0.2.1,sasl:plain)<Jd8F2>: sql: Password mismatch                        (2.4)
    #   (after a typed ")" comes the daemon's own "): ", which the end of the pattern forbids)
    (b"dovecot", (MAIL, "auth process"), "failed login",
     rb"(?:auth(?:-worker)?(?:\(\d+\))?: )?(?:(?:Info|Warning|Error): )?"
     rb"(?:conn unix:\S+ \(\S+\): auth-worker<\d+>: )?"
     rb"[\w-]+\([^()]{0,80},<IP>(?:,sasl:[\w-]+)?(?:,master)?(?:,<[^<>()]*>)?\)(?:<[^<>()]*>){0,2}"
     rb": (?:request \[\d+\]: )?(?:[\w-]+: )?(?:unknown user|[Pp]assword mismatch|"
     rb"[Ii]nvalid credentials|pam_authenticate\(\) failed: (?:[Aa]uthentication (?:failure|error)|"
     rb"User not known|Permission)|User found from deny passdb|"
     rb"Authentication failure due to policy)[\w ]*(?: \([^()]*\))?"),
    # pam_unix(dovecot:auth): authentication failure; logname= uid=0 euid=0 tty=dovecot ruser=bob
    #   rhost=192.0.2.1  user=bob       (typed on both sides: so no blank in it)
    (b"dovecot", (MAIL, "PAM"), "failed login",
     rb"pam_\w+\([\w-]+:auth\): authentication failure; <PAM>(?:user=\S*)?"),

    # 0123456789abcdef smtp connected address=192.0.2.1 host=mail.example.net
    (b"opensmtpd", PEER, "", rb"<ID> smtp (?:event=)?connected address=\[?<IP>\]? host=.*"),
    # smtp-in: New session 0123456789abcdef from host mail.example.net [192.0.2.1]         (5.x)
    (b"opensmtpd", PEER, "", rb"smtp-in: New session <ID> from host \S+ \[(?:IPv6:)?<IP>\]"),
    # 0123456789abcdef smtp event=failed-command address=192.0.2.1 host=mail.example.net
    #   command="AUTH PLAIN (...)" result="535 Authentication failed"                   (6.0 to 6.3)
    (b"opensmtpd", (MAIL, "failed-command"), "failed login",
     rb'[0-9a-f]{16} smtp (?:event=)?failed-command address=\[?<IP>\]? host=\S+ '
     rb'command="[Aa][Uu][Tt][Hh] .*" result="5.*'),
    # 0123456789abcdef smtp failed-command command="AUTH PLAIN (...)" result="535 Authentication ...
    # smtp-in: Failed command on session 0123456789abcdef: "AUTH PLAIN (...)" => 535 Auth...
    (b"opensmtpd", (MAIL, "failed-command"), "failed login",
     rb'(?:smtp-in: Failed command on session )?<ID>(?: smtp (?:event=)?failed-command command=|: )'
     rb'"[Aa][Uu][Tt][Hh] .*" (?:result="|=> )5.*'),
    # 0123456789abcdef smtp authentication user=bob result=permfail
    (b"opensmtpd", (MAIL, "authentication"), "failed login",
     rb"<ID> smtp (?:event=)?authentication .*result=permfail"),
)

# How the messages begin that RULES know (after a letter, patterns): most lines of most logs begin
# otherwise, and to look for these in whole blocks takes a fifth of the time of matching all lines.
BEGINNINGS = (
    rb"message repeated", rb"Invalid", rb"Illegal", rb"Failed", rb"Postponed", rb"maximum",
    rb"Disconnecting", rb"Disconnected(?! from user |: Logged out)", rb"User ",
    rb"pam_\w+\([^)\n]*\): a", rb"(pam_unix\)", rb"PAM", rb"Authentication (?:t|failure d)",
    rb"Did not", rb"ROOT", rb"Bad", rb"banner", rb"Unable", rb"Protocol", rb"probed", rb"scanned",
    rb"Connection", rb"refused", rb"kex_", rb"Timeout", rb"srclimit", rb"drop",
    rb"Received(?! disconnect from \S+ \S+ \d+:11: disconnected by user$)",
    rb"disconnect from (?:unknown|\S+ (?:(?:helo|ehlo|starttls)=\S+ ){0,3}auth=0/)",
    rb"client=unknown", rb"warning: (?:\S+: SASL|AUTH|non-SMTP)", rb"improper", rb"too many",
    rb"lost", rb"timeout", rb"reject: ", rb"DNSBL", rb"BLACK", rb"DENY", rb"PREGREET", rb"HANGUP",
    rb"COMMAND", rb"BARE", rb"NON-SMTP",
    rb"Aborted", rb"Login aborted", rb"unknown user", rb"password mismatch", rb"Password mismatch",
    rb"invalid cred", rb"Invalid cred", rb"pam_authenticate", rb"smtp-in")


def main(args):
    """Run the pipeline; args: the command line (list of str). Returns the exit code, 0 or 1."""
    options = Options(args)
    try:
        allowed = allow_list(options.allow) if options.allow else None
    except (OSError, ValueError) as error:
        return complain(options.allow, error)

    # the attackers of the last day
    night = Night()
    found = (careful_attackers if options.careful else attackers)(options, night)

    # pf's own table, which its rules may have added to
    known = []
    if not options.no_pf:
        try:
            known = pf_table(options.table)
        except OSError as error:
            night.status = complain("pfctl", error)
            options.no_pf = error.errno == errno.ENOENT

    # both join the old file
    try:
        old, table, left_out = update(options, allowed, known, found)
    except OSError as error:
        return complain(options.etcfile, error)
    for entry in sorted(left_out):
        if left_out[entry] == UNLOADABLE:
            say(options.etcfile, "left out: %s, %s" % (visible(entry), UNLOADABLE))

    # pf takes the result
    if not options.no_pf and not options.dry_run:
        try:
            pf_load(options.pf_conf)
        except OSError as error:
            night.status = complain("pfctl", error)

    if options.explain:
        tell(options, night, old, table, left_out)
    if options.dry_run:
        try:
            write(1, table)
        except OSError as error:
            night.status = complain("stdout", error)
    return night.status


class Options:
    """The command line: attributes named as the long options. Ends the program if it is wrong."""

    etcfile, pf_conf, table, days, count = ETCFILE, PF_CONF, TABLE, DAYS, COUNT
    allow = mail = None
    careful = dry_run = verbose = no_pf = False
    LETTERS = {"-m": "--maillog", "-a": "--authlog", "-e": "--etcfile", "-f": "--pf-conf",
               "-t": "--table", "-d": "--days", "-k": "--count", "-w": "--allow",
               "-c": "--careful", "-n": "--dry-run", "-v": "--verbose", "-h": "--help"}
    WITH_VALUE = "maillog authlog etcfile pf-conf table days count allow mail now".split()
    FLAGS = "careful dry-run verbose no-pf version help".split()

    def __init__(self, args):
        self.now = int(time.time())
        self.maillog, self.authlog = [], []
        if args:
            self.parse(args)
        self.maillog = self.maillog or [MAILLOG]
        self.authlog = self.authlog or [AUTHLOG]
        self.explain = self.verbose or self.mail
        self.alive = self.verbose and os.isatty(2)

    def parse(self, args):
        import getopt  # half of what argparse costs at the start
        try:
            pairs, rest = getopt.gnu_getopt(args, "m:a:e:f:t:d:k:w:cnvh",
                                            [name + "=" for name in self.WITH_VALUE] + self.FLAGS)
        except getopt.GetoptError as error:
            wrong_usage(error.msg)
        if rest:
            wrong_usage("not an option: " + rest[0])
        for option, value in pairs:
            name = self.LETTERS.get(option, option)[2:]
            if name in ("help", "version"):
                print(USAGE if name == "help" else VERSION)
                sys.exit(0)
            if name in ("maillog", "authlog"):
                getattr(self, name).append(value)
            elif name in ("days", "count"):
                setattr(self, name, number_of(name, value))
            elif name == "now":
                self.now = moment(value)
            elif name == "mail" and not re.match(r"[\w.+=%!/@][\w.+=%!/@-]*\Z", value, re.ASCII):
                wrong_usage("not a mail address: " + value)
            else:
                setattr(self, name.replace("-", "_"), name in self.FLAGS or value)
        try:
            time_range(self.now, self.days)
        except (OverflowError, ValueError, OSError):
            wrong_usage("no such time: %d days before %d" % (self.days, self.now))


def number_of(what, text):
    """A number from the command line (str) as int, 1 to 99999."""
    if not re.match(r"[0-9]{1,5}\Z", text) or not int(text):
        wrong_usage("%s: not a number from 1 to 99999: %s" % (what, text))
    return int(text)


def moment(text):
    """--now's TIME (str): epoch seconds, or local YYYY-MM-DD HH:MM[:SS]. Returns epoch seconds."""
    if re.match(r"[0-9]{1,12}\Z", text):
        return int(text)
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"):
        try:
            return int(time.mktime(time.strptime(text, form)))
        except (ValueError, OverflowError):
            pass
    wrong_usage("not a time (YYYY-MM-DD HH:MM): " + text)


class Night:
    """What reading the logs brought: the range (two str), a tally a log, the addresses found (set),
    why each was ({address: Finding}, where somebody wants to know), lines whose stamp could not be
    read, and the exit code so far.
    """

    def __init__(self):
        self.range, self.tallies, self.found, self.why = ("", ""), [], set(), {}
        self.unread, self.status = 0, 0

    def packed(self):
        """What a process tells of its logs, in plain types."""
        return ([vars(tally) for tally in self.tallies], self.found,
                {address: finding.packed() for address, finding in self.why.items()},
                self.unread, self.status)

    def join(self, tallies, found, why, unread, status):
        """Take in what another process packed()."""
        for tally in tallies:
            self.tallies.append(Tally(tally["path"]))
            vars(self.tallies[-1]).update(tally)
        self.found |= found
        for address, finding in why.items():
            self.why.setdefault(address, Finding()).join(*finding)
        self.unread += unread
        self.status = self.status or status


class Tally:
    """How many lines of a log (path: str) were read, in range, and matched."""

    def __init__(self, path):
        self.path = path
        self.read = self.in_range = self.matched = 0

    def add(self, block, in_range, matched):
        """Count a block's (bytes) lines, those in range, and those that matched."""
        self.read += block.count(b"\n") + 1
        self.in_range += in_range
        self.matched += matched


class Finding:
    """Why an address was found: the rule (str), the first line (bytes) that named it, how often;
    careful mode also counts sure signs and, by verdict, other failures.
    """

    __slots__ = ("rule", "line", "hits", "sure", "counts", "delivered")

    def __init__(self):
        self.rule = self.line = self.counts = None
        self.hits, self.sure, self.delivered = 0, 0, False

    def packed(self):
        """All of it in plain types."""
        return self.rule, self.line, self.hits, self.sure, self.counts, self.delivered

    def join(self, rule, line, hits, sure, counts, delivered):
        """Take in what another process, which read later logs, packed() of the same address."""
        if not self.hits or sure and not self.sure:
            self.rule, self.line = rule, line
        self.hits += hits
        self.sure += sure
        self.delivered = self.delivered or delivered
        for verdict, times in (counts or {}).items():
            self.count(verdict, times)

    def count(self, verdict, times):
        """Count failures (int) that are no sure sign."""
        counts = self.counts = self.counts or {}
        counts[verdict] = counts.get(verdict, 0) + times


def attackers(options, night):
    """The pipeline's first half, from both logs to their addresses (set of bytes)."""
    start, end = time_range(options.now, options.days)
    night.range = start.decode(), end.decode()
    if start > end:
        say("range", "nothing found: %s sorts behind %s; careful mode (-c) knows dates"
            % night.range)
    at_once(read_logs, [(path, MAIL_WORDS, mail_suspects) for path in options.maillog],
            [(path, AUTH_WORDS, auth_suspects) for path in options.authlog],
            night, options, start, end)
    return night.found


def read_logs(logs, night, options, start, end):
    """The addresses in suspicious lines from start to end (bytes) of logs (list of (path, words,
    function)) go into night.found. What cannot be read is said, and the rest still is.
    """
    for path, words, suspects in logs:
        tally = Tally(path)
        night.tallies.append(tally)
        try:
            for block in blocks(open_log(path), options.alive and path):
                lines = in_range(candidates(block, words), start, end)
                lines = suspects(lines)
                night.found.update(addresses(lines))
                if options.explain:
                    tally.add(block, len(in_range(block.split(b"\n"), start, end)), len(lines))
                    explain(lines, night.why)
        except Exception as error:  # each unpacker has errors of its own
            night.status = complain(path, error)


def at_once(read, mail, auth, night, *how):
    """read(logs, night, *how) for the logs of both (lists of tuples that begin with the path).
    Large ones are read at the same time, as the shell runs a pipeline: authlog in a process of its
    own, which saves nearly half the time.
    """
    process = None
    if min(map(size_of, (mail, auth))) >= LARGE:
        process = start_reading(read, auth, how)
    read(mail, night, *how)
    if process is None:
        read(auth, night, *how)
        return
    pid, answer = process
    with answer:
        packed = answer.read()
    with contextlib.suppress(ChildProcessError):  # where SIGCHLD is ignored
        os.waitpid(pid, 0)
    try:
        night.join(*marshal.loads(packed))
    except (EOFError, ValueError, TypeError):
        night.status = complain(auth[0][0], "the process that read it was ended")


def start_reading(read, logs, how):
    """Start read(logs, night, *how) in a process of its own. Returns its number and the file on
    which it tells its night, packed() and marshalled; None if there is no process to be had.
    """
    try:
        here, there = os.pipe()
    except OSError:
        return None
    try:
        pid = os.fork()
    except OSError:
        os.close(here)
        os.close(there)
        return None
    if pid:
        os.close(there)
        return pid, open(here, "rb")
    try:
        os.close(here)
        night = Night()
        read(logs, night, *how)
        with open(there, "wb") as answer:
            answer.write(marshal.dumps(night.packed()))
    finally:
        os._exit(0)


def size_of(logs):
    """The bytes in logs (list of tuples that begin with the path), as far as they are files."""
    size = 0
    for path, *_ in logs:
        with contextlib.suppress(OSError):
            size += os.path.getsize(path)
    return size


def time_range(now, days):
    """`date -r $(expr $(date +%s) - 86400) '+%b %d %H:%M:%S' | sed "s/ 0/  /"`, and for now.

    now: epoch seconds; days: of 86400 seconds. Returns the first and last stamp (bytes), local
    time. The first " 0" is the zero of a day up to the 9th, or else of an hour up to nine: both
    are cut, as sed does (the page).
    """
    return tuple(
        time.strftime("%b %d %H:%M:%S", time.localtime(second)).replace(" 0", "  ", 1).encode()
        for second in (now - days * 86400, now))


def open_log(path):
    """Open a log (str; - is standard input), unpacked as its name tells. Returns a binary file.

    Raises OSError; ImportError where Python lacks the format.
    """
    if path == "-":
        return open(0, "rb", buffering=0, closefd=False)
    # a FIFO that nobody writes to would hold up a plain open for ever
    log = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)
    os.set_blocking(log.fileno(), True)
    if path.endswith(".gz"):
        import gzip
        return gzip.GzipFile(fileobj=log)
    if path.endswith(".bz2"):
        import bz2
        return bz2.BZ2File(log)
    if path.endswith(".xz"):
        import lzma
        return lzma.LZMAFile(log)
    return log


def blocks(log, show=None, whole=True):
    """`cat LOG`: yield an open log's text in blocks (bytes) of whole lines, each without its last
    newline. A last line that lacks its newline is a line. Closes the log.

    Raises what reading and unpacking may raise. show: the name (str) to show progress under.
    whole: keep a line longer than BLOCK; otherwise a line of nonsense stands for it.
    """
    with log, wiped(show):
        fifo = log.fileno() and stat.S_ISFIFO(os.fstat(log.fileno()).st_mode)
        pieces, size = [], 0  # of a line not yet whole: joined once, so the time stays linear
        while True:
            if fifo:
                await_writer(log)
            if show:
                show_progress(log, show)
            data = log.read(BLOCK)
            if not data:
                break
            end = data.rfind(b"\n")
            if end >= 0:
                yield b"".join(pieces) + data[:end]
                pieces, size = [], 0
            pieces.append(data[end + 1:])
            size += len(pieces[-1])
            if size > BLOCK and not whole:
                pieces = [b"\0"]
        if any(pieces):
            yield b"".join(pieces)


def await_writer(log):
    """Wait until a log that is a FIFO has something to read; OSError after WAIT seconds."""
    import select
    if not select.select([log], [], [], WAIT)[0]:
        raise OSError(errno.ETIMEDOUT, "nobody wrote to it for %d seconds" % WAIT)


def show_progress(log, name):
    """Tell a terminal how much of a log has been read; only every 16 blocks."""
    face = os.fstat(log.fileno())
    if not stat.S_ISREG(face.st_mode):
        return  # of a pipe or a terminal nobody knows how much will come
    done = os.lseek(log.fileno(), 0, os.SEEK_CUR)
    if done // BLOCK % 16 == 0:
        to_stderr(b"\r\x1b[K%s: %d of %d MB" % (
            os.fsencode(name), done >> 20, face.st_size >> 20))


@contextlib.contextmanager
def wiped(show):
    """However the reading of a log ends, wipe what show_progress() said."""
    try:
        yield
    finally:
        if show:
            to_stderr(b"\r\x1b[K")


# starts with a plain class: the search then leaps from digit to digit, four times as fast
ADDRESS = re.compile(rb"[0-9][0-9]{0,2}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")
SUSPICIOUS = re.compile(rb"root|invalid|by [0-9]|identification")
MAIL_WORDS = (b"disconnect from unknown",)
AUTH_WORDS = (b"root", b"invalid", re.compile(rb"by [0-9]"), b"identification")


def candidates(block, words):
    """The lines (list of bytes) of a block (bytes) that the greps need to see: all of them, or
    where few hold one of the words, those. Looking for a word in a block takes a tenth of the
    time that looking at line after line takes. The block's beginning tells how many there are.
    """
    sample = block[:SAMPLE]
    if 5 * sum(len(re.findall(word, sample)) for word in words) > sample.count(b"\n"):
        return block.split(b"\n")
    found = {}
    for word in words:
        end = 0
        at = place(block, word, end)
        while at >= 0:
            start, end = block.rfind(b"\n", 0, at) + 1, block.find(b"\n", at)
            if end < 0:
                end = len(block)
            found[start] = block[start:end]
            at = place(block, word, end)
    return [found[start] for start in sorted(found)]


def place(block, word, start):
    """Where in a block (bytes), from start on, a word (bytes, or a compiled pattern) is; or -1."""
    if isinstance(word, bytes):
        return block.find(word, start)
    hit = word.search(block, start)
    return hit.start() if hit else -1


def in_range(lines, start, end):
    """`awk '$0>=from&&$0<=to'`: the lines (list of bytes) from start to end, compared whole."""
    return [line for line in lines if start <= line <= end]


def mail_suspects(lines):
    """`grep "disconnect from unknown" | grep -v auth=1` (list of bytes)."""
    return [line for line in lines if b"disconnect from unknown" in line and b"auth=1" not in line]


def auth_suspects(lines):
    """`grep -E "root|invalid|by [0-9]|identification"` (list of bytes)."""
    return list(filter(SUSPICIOUS.search, lines))


def addresses(lines):
    """`grep -oE "([0-9]{1,3}\\.){3}[0-9]{1,3}"` (list of bytes): all, in a line as across them."""
    return ADDRESS.findall(b"\n".join(lines))


def explain(lines, why):
    """Note in why ({address: Finding}) what each suspicious line (list of bytes) says of whom."""
    for line in lines:
        for address in addresses([line]):
            finding = why.setdefault(address, Finding())
            finding.hits += 1
            if finding.line is None:
                finding.line = line
                finding.rule = 'matches "disconnect from unknown"'
                if b"disconnect from unknown" not in line:
                    finding.rule = 'matches "%s"' % SUSPICIOUS.search(line).group().decode()


def pf_table(table):
    """`pfctl -t TABLE -T show | awk '{print $1}'` (list of bytes). Raises OSError."""
    shown = pfctl("-t", table, "-T", "show")
    if re.search(rb"[^\t\n -~]", shown):
        raise OSError(errno.EIO, "-t %s -T show: not the text of a table" % table)
    return re.findall(rb"^[ \t]*([^ \t\n]+)", shown, re.MULTILINE)


def pf_load(conf):
    """`pfctl -f /etc/pf.conf`: pf takes the ruleset, and with it the table. Raises OSError."""
    pfctl("-f", conf)


def pfctl(*args):
    """Run pfctl(8) from PATH. Returns what it prints; OSError with pf's own words if it fails."""
    return command(("pfctl",) + args)


def command(args, text=b""):
    """Run a command (tuple of str) with text (bytes) as its input. Returns what it prints (bytes);
    raises OSError, with its own words if it fails.
    """
    import subprocess
    done = subprocess.run(args, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        words = visible(b"; ".join(done.stderr.split(b"\n")).rstrip(b"; "))
        raise OSError(errno.EIO, "%s: %s" % (" ".join(args[1:]),
                                             words or "exit %d" % done.returncode))
    return done.stdout


def old_file(path):
    """`cat "$ETCFILE"`: its lines (list of bytes) and its os.stat(), or none of both yet.

    Raises OSError if it exists and cannot be read, or is not a regular file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return [], None
    with open(fd, "rb") as file:
        face = os.fstat(fd)
        if not stat.S_ISREG(face.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read().split(b"\n"), face


def update(options, allowed, known, found):
    """`> "$ETCFILE"`: merge pf's entries (known) and the logs' (found) into the table file; from
    reading it to its replacement other runs wait. --dry-run only reads.

    Returns the old entries, the new table (lists of bytes) and what merge() left out of it.
    Raises OSError.
    """
    target = os.path.realpath(options.etcfile)
    if options.dry_run:
        old, _ = old_file(target)
        return (old,) + merge(allowed, old, known, found)
    temporary = target + ".logcheck"
    with locked(temporary) as new:
        old, face = old_file(target)
        table, left_out = merge(allowed, old, known, found)
        write(new, table)
        put_in_place(new, temporary, target, face)
    return old, table, left_out


is_quad = re.compile(
    rb"%s\.%s\.%s\.%s" % ((rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])",) * 4)).fullmatch
is_numeric = re.compile(rb"[0-9.]+").fullmatch
is_loadable = re.compile(
    rb"(?:%s\.){0,3}%s" % ((rb"0*(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])",) * 2)).fullmatch
UNLOADABLE = "pf could not load it"


def merge(allowed, *sources):
    """`grep -v "^$" | sort -n -t . -k 1,1 -k 2,2 -k 3,3 -k 4,4 | uniq` over all the sources.

    allowed: from allow_list(); sources: iterables of entries (bytes). Returns the table (sorted
    list) and what was left out of it ({entry: why (str)}): what is allowed, and numbers and dots
    that are no address, for which pf would refuse the whole ruleset.
    """
    entries, left_out = list(itertools.chain(*sources)), {}
    if allowed:
        left_out = {entry: "allowed" for entry in entries if is_allowed(entry, allowed)}
        entries = [entry for entry in entries if entry not in left_out]
    plain = list(map(bool, map(is_quad, entries)))
    quads = list(itertools.compress(entries, plain))
    others = set(itertools.compress(entries, map(operator.not_, plain))) - {b""}
    for entry in list(others):
        if is_numeric(entry) and not is_loadable(entry):
            left_out[entry] = UNLOADABLE
            others.remove(entry)

    # nearly all are plain addresses: packed, they take half the time; in order, they stay
    keys = list(map(inet_aton, map(bytes.decode, quads)))
    if any(map(operator.ge, keys, itertools.islice(keys, 1, None))):
        keys.sort()
        if any(map(operator.eq, keys, itertools.islice(keys, 1, None))):
            keys = [key for key, _ in itertools.groupby(keys)]
        quads = list(map(str.encode, map(inet_ntoa, keys)))

    # the others go in between
    table, done = [], 0
    for entry in sorted(others, key=sort_key):
        at = rank(entry, quads, keys)
        table += quads[done:at]
        table.append(entry)
        done = at
    table += quads[done:]
    return table, left_out


def rank(entry, quads, keys):
    """Where an entry (bytes) belongs among plain addresses (sorted list of bytes; keys: the same,
    packed): how many of them sort(1) puts before it.
    """
    import bisect
    packed = b""
    for field in first_fields(entry):
        key = number(field)
        if key < LOWEST:
            return bisect.bisect_left(keys, packed)
        if key > HIGHEST:
            return bisect.bisect_right(keys, packed + b"\xff" * 4)
        packed += b"%c" % int(key[1:] or 0)
    at = bisect.bisect_left(keys, packed)
    return at + (keys[at:at + 1] == [packed] and quads[at] < entry)


def sort_key(entry):
    """What sort(1) orders an entry (bytes) by with -n -t . -k 1,1 -k 2,2 -k 3,3 -k 4,4: the first
    four fields as numbers, then the whole line. Returns bytes that compare as these do.
    """
    return b"".join(map(number, first_fields(entry))) + entry


def first_fields(entry):
    """The first four fields (list of bytes) of an entry (bytes); missing ones are empty."""
    return (entry.split(b".", 4) + [b"", b"", b""])[:4]


def number(field):
    """A field (bytes) as `sort -n` reads it: blanks, perhaps a minus, digits of any number; zero if
    there are none. Returns bytes that compare as the numbers do: their length, then their digits,
    and for negative numbers all of it turned round.
    """
    minus, digits = re.match(rb"[ \t]*(-?)0*([0-9]*)", field).groups()
    size = len(digits)
    key = (b"%c" % (size + 1) if size < 254 else b"\xff%20d" % size) + digits
    return b"\0" + bytes(255 - byte for byte in key) if minus and digits else key


LOWEST, HIGHEST = number(b"0"), number(b"255")  # of an address's parts


def allow_list(path):
    """The networks of --allow's file (str): the first and last addresses of each, (4 or 6, int),
    as two sorted lists, those that touch made one.

    Raises OSError; ValueError that names the first line that is neither address nor network: a
    list read by halves would lock somebody out.
    """
    allowed = []
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            text = line.split(b"#")[0].strip()
            if text:
                allowed.append(network(text))
                if allowed[-1] is None:
                    raise ValueError("line %d: neither address nor network: %s"
                                     % (number, visible(text)))
    firsts, lasts = [], []
    for first, last in sorted(allowed):
        if lasts and first <= lasts[-1]:
            lasts[-1] = max(lasts[-1], last)
        else:
            firsts.append(first)
            lasts.append(last)
    return firsts, lasts


def is_allowed(entry, allowed):
    """Whether an entry (bytes) of the table holds, or lies in, one of the allowed networks."""
    import bisect
    firsts, lasts = allowed
    for word in entry.split(b"#")[0].split():
        block = network(word)
        if block:
            before = bisect.bisect_right(firsts, block[1]) - 1
            if before >= 0 and lasts[before] >= block[0]:
                return True
    return False


def network(text):
    """An address or network (bytes), short forms as pf knows them (10.1 is 10.1.0.0/16).

    Returns its first and its last address, each as (4 or 6, int), or None.
    """
    try:
        if text.count(b".") == 3 and not text.strip(b"0123456789."):
            address = int.from_bytes(bytes(map(int, text.split(b"."))), "big")
            return (4, address), (4, address)
        import ipaddress
        # leading zeros are decimal to pf; Pythons differ about them
        host, slash, bits = re.sub(rb"\b0+(?=[0-9])", b"", text).decode("ascii").partition("/")
        if slash and not bits:
            return None
        if ":" not in host:
            octets = host.split(".")
            bits = bits or str(8 * len(octets))
            host = ".".join((octets + ["0", "0", "0"])[:max(4, len(octets))])
        found = ipaddress.ip_network(host + "/" + bits if bits else host, strict=False)
        mapped = getattr(found.network_address, "ipv4_mapped", None)
        if mapped and found.prefixlen >= 96:
            found = ipaddress.ip_network((int(mapped), found.prefixlen - 96))
        return tuple((found.version, int(address))
                     for address in (found.network_address, found.broadcast_address))
    except ValueError:
        return None


@contextlib.contextmanager
def locked(path):
    """Make the temporary file (str) that is to become the table; while it stands there locked,
    other runs wait. Yields its descriptor; removes it unless it has been renamed.

    Raises OSError, also when a rival keeps the lock for longer than WAIT.
    """
    deadline = time.monotonic() + WAIT
    # signals may end the wait; but once the file is there, they wait until it is dealt with
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        fd = make_locked(path)
        while fd is None:
            if time.monotonic() > deadline:
                raise OSError(errno.ETIMEDOUT, "another run has locked it for %d seconds" % WAIT)
            remove_leftover(path)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
            fd = make_locked(path)
        try:
            yield fd
        finally:
            drop(fd, path)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def make_locked(path):
    """Create and lock path (str). Returns its descriptor, or None if something is there."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stands(fd, path):
            return fd
    except BlockingIOError:
        pass  # a rival takes it for a leftover
    except OSError:
        drop(fd, path)
        raise
    os.close(fd)
    return None


def remove_leftover(path):
    """Remove what stands at path (str) unlocked: a killed run has left it, or somebody has put
    it there for us to write to. If a living run holds it, give that a moment.
    """
    try:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            os.unlink(path)
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if stands(fd, path):
                os.unlink(path)
        finally:
            os.close(fd)
    except BlockingIOError:
        time.sleep(0.05)
    except FileNotFoundError:
        pass  # a rival was faster
    except OSError as error:
        raise OSError(error.errno, "%s is in the way: %s" % (path, error.strerror))


def stands(fd, path):
    """Whether path (str) is still the file open as fd."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def drop(fd, path):
    """Close fd, and remove its file if that still stands at path (str)."""
    try:
        if stands(fd, path):
            os.unlink(path)
    finally:
        os.close(fd)


def put_in_place(fd, path, target, face):
    """`> "$ETCFILE"`, whole or not at all: the file at path (str), open as fd, takes the place
    of target (str) with its mode and owner (face: os.stat_result, or None where none was).
    """
    if face:
        try:
            os.fchown(fd, face.st_uid, face.st_gid)
        except PermissionError as error:
            raise OSError(error.errno, "cannot keep its owner and group: " + error.strerror)
        os.fchmod(fd, stat.S_IMODE(face.st_mode))
    else:
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(fd, 0o644 & ~umask)
    os.fsync(fd)
    os.rename(path, target)
    directory = os.open(os.path.dirname(target), os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


# Careful mode (-c): the same job with dates, rotated logs and rules

def careful_attackers(options, night):
    """The addresses (set of bytes) that RULES find in both logs, rotated ones included: those
    with a sure sign, and those whose failures add up to --count.
    """
    days = Days(options.now, options.days)
    night.range = days.range
    seen = set()
    at_once(read_carefully, once(options.maillog, days.first, seen),
            once(options.authlog, days.first, seen), night, options, days)
    return {address for address, finding in night.why.items()
            if is_attacker(finding, options.count)}


def read_carefully(logs, night, options, days):
    """What RULES say of the lines in range (days) of logs (list of (name, open file, or None)) goes
    into night.why. What cannot be read is said, and the rest still is.
    """
    judge = Judge(night.why, options.explain)
    beginnings = compile_beginnings()
    for name, log in logs:
        tally = Tally(name)
        night.tallies.append(tally)
        judge.last = None
        try:
            for block in blocks(log or open_log(name), options.alive and name, whole=False):
                # a report counts all lines in range
                lines = block.split(b"\n") if options.explain else messages(block, beginnings)
                lines = days.in_range(lines)
                matched = judge.lines(lines)
                if options.explain:
                    tally.add(block, len(lines), matched)
        except Exception as error:  # each unpacker has errors of its own
            night.status = complain(name, error)
    night.unread = days.unread


def once(paths, since, seen):
    """generations() of all paths (list of str), without a file in seen ({(device, inode)}): a log
    given twice, or given and found as rotated, is read once. From many logs on, None stands for a
    file that is opened when its turn comes.
    """
    logs = []
    for path in paths:
        for name, log in generations(path, since):
            face = os.fstat(log.fileno()) if log else None
            if face and stat.S_ISREG(face.st_mode):
                if (face.st_dev, face.st_ino) in seen:
                    log.close()
                    continue
                seen.add((face.st_dev, face.st_ino))
                if len(seen) > OPEN:
                    log.close()
                    log = None
            logs.append((name, log))
    return logs


def messages(block, beginnings):
    """The lines (list of bytes) of a block (bytes) that RULES need to see: all of them, or where
    few begin as one of theirs does, those, and the last, which the next block may say "last message
    repeated" of.
    """
    sample = block[:SAMPLE]
    if (2 * len(beginnings.findall(sample)) > sample.count(b"\n")
            or b"last message repeated" in block):
        return block.split(b"\n")
    lines, end = [], 0
    for found in beginnings.finditer(block):
        at = found.start()
        if at >= end:
            end = block.find(b"\n", at)
            if end < 0:
                end = len(block)
            lines.append(block[block.rfind(b"\n", 0, at) + 1:end])
    if end < len(block):
        lines.append(block[block.rfind(b"\n") + 1:])
    return lines


class Days:
    """The lines of the last days by the clock on the line. unread: how many had no clock."""

    ISO = (rb"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
           rb"(?:[.,][0-9]+)?(Z|([+-])([0-9]{2}):?([0-9]{2}))?")
    MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

    def __init__(self, now, days):
        """now: epoch seconds. The range begins at the same time of day so many days before:
        where the clock changed in between, it is an hour shorter or longer, and nothing is lost.
        """
        self.unread = 0
        self.last, at = now, time.localtime(now)
        self.first = int(time.mktime(at[:2] + (at.tm_mday - days,) + at[3:6] + (0, 0, -1)))
        self.range = tuple(time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
                           for second in (self.first, now))
        clock = self.range[1][11:].encode()
        self.days = {}  # {"Apr  8": (first time of day, last)}
        for back in range(min(days, 366), -1, -1):
            noon = time.localtime(time.mktime(at[:2] + (at.tm_mday - back, 12, 0, 0, 0, 0, -1)))
            for day in {time.strftime(form, noon).encode() for form in ("%b %e", "%b %d")}:
                known = day in self.days  # a year on, the day comes again
                self.days[day] = (b"" if back < days or known else clock,
                                  b"~" if back or known else clock)
        self.hours = {}  # {"Apr  8 12": whole_hour() of it}

    def in_range(self, lines):
        """The lines (list of bytes) that lie in the range."""
        # most blocks are of one hour, and most hours all in or all out: half the time
        whole = set(map(self.whole_hour, {line[:9] for line in lines}))
        if whole == {True}:
            return lines
        if whole == {False}:
            return []
        return [line for line in lines if self.holds(line)]

    def whole_hour(self, hour):
        """Whether all lines that begin with an hour (bytes, "Apr  8 12") lie in the range: True;
        False if none does; None if it depends, or it is no hour.
        """
        if hour in self.hours:
            return self.hours[hour]
        if hour[:3] not in self.MONTHS or not hour[3:].replace(b" ", b"").isdigit():
            return None
        first, last = self.days.get(hour[:6], (b"~", b""))
        begin, end = hour[7:], hour[7:] + b"~"
        self.hours[hour] = (True if first <= begin and end <= last else
                            False if end < first or begin > last else None)
        return self.hours[hour]

    def holds(self, line):
        """Whether a line (bytes) lies in the range."""
        if line[:3] in self.MONTHS and line[3:6].replace(b" ", b"").isdigit():
            first, last = self.days.get(line[:6], (b"~", b""))
            return first <= line[7:15] <= last
        stamp = re.match(self.ISO, line)
        try:
            year, month, day, hour, minute, second = map(int, stamp.groups()[:6])
            if stamp.group(7):  # an offset, or Z
                import datetime
                at = datetime.datetime(year, month, day, hour, minute, tzinfo=datetime.timezone.utc)
                offset = int(stamp.group(9) or 0) * 3600 + int(stamp.group(10) or 0) * 60
                second += at.timestamp() - (-offset if stamp.group(8) == b"-" else offset)
            else:
                second = time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
        except (AttributeError, ValueError, OverflowError):  # no stamp, or a date that is none
            self.unread += 1
            return False
        return self.first <= second <= self.last


ROTATED = r"([.-][0-9][0-9TZ-]*)(?:\.gz|\.bz2|\.xz)?\Z"  # .0.gz, .1, -20180409.xz


def generations(path, since):
    """A log (str) and, before it, oldest first, the rotated ones that newsyslog(8) or logrotate
    made of it and whose mtime lets them hold a line since an epoch second.

    Returns [(name, open file, or None where opening failed)]. The log is opened first: rotated
    after that, it is still read.
    """
    logs = [(path, attempt(path))]
    if path == "-" or not logs[0][1]:
        return logs
    rotated = {}
    folder, base = os.path.split(path)
    try:
        names = sorted(os.listdir(folder or "."))
    except OSError:
        return [(folder or ".", None)] + logs  # opening the folder will fail too, and say so
    for name in names:
        match = name.startswith(base) and re.match(ROTATED, name[len(base):])
        if match:  # while maillog.0.gz is being written, maillog.0 is still there and sorts first
            rotated.setdefault(match.group(1), os.path.join(folder, name))
    older = []
    for name in rotated.values():
        try:
            face = os.stat(name)
        except OSError:  # renamed just now: opening it will fail too, and say so
            older.append((0, name))
            continue
        current = os.fstat(logs[0][1].fileno())
        if face.st_mtime >= since - 3600 and not os.path.samestat(face, current):
            older.append((face.st_mtime, name))
    return [(name, attempt(name)) for _, name in sorted(older)] + logs


def attempt(path):
    """open_log(path), or None if it fails."""
    try:
        return open_log(path)
    except (OSError, ImportError):
        return None


class Judge:
    """Applies RULES. why: {address (bytes): Finding}, which it fills; explain: with lines."""

    def __init__(self, why, explain=True):
        self.why, self.explain = why, explain
        self.match, self.rules = compile_rules()
        self.sessions = {}  # {OpenSMTPD's session: address as logged; sshd's ungreeted pid: b""}
        self.findings = {}  # {address as logged: its Finding, or None}
        self.last = None  # the finding, verdict and rule of the last line, if it told of a failure

    def lines(self, lines):
        """Judge log lines (list of bytes) in their order. Returns how many tell of a failure."""
        failures, last = 0, self.last
        rules, findings, explain = self.rules, self.findings, self.explain
        for found in map(self.match, lines):
            if found is None:
                last = None
                continue
            verdict, rule, address, session, repeat, number = rules[found.lastindex]
            if verdict == AGAIN:
                if last is None:
                    continue
                finding, verdict, rule = last
            else:
                last = None
                text = found.group(address)
                if session:
                    verdict, text = self.in_session(found.group(session), verdict, text)
                if text not in findings:
                    findings[text] = self.finding(text)
                finding = findings[text]
                if finding is None:
                    continue
                if verdict == DELIVERED:
                    finding.delivered = True
                    continue
                last = finding, verdict, rule
                if verdict == SURE and not explain:
                    findings[text] = None  # nobody wants to know more of it: saves a tenth
            times = int(found.group(repeat) or 1) * int(number and found.group(number) or 1)
            if explain and (not finding.hits or verdict == SURE and not finding.sure):
                finding.line, finding.rule = found.string, rule
            finding.hits += times
            if verdict == SURE:
                finding.sure += times
            else:
                finding.count(verdict, times)
            failures += 1
        self.last = last
        return failures

    def in_session(self, session, verdict, text):
        """What a line tells in its session (bytes): the verdict, and the address as logged (bytes,
        or None if the line is no failure).
        """
        if verdict == UNGREETED:
            self.sessions[session], text = b"", None
        elif verdict == PEER:
            self.sessions[session], text = text, None
        elif verdict == BROKE:
            greeted = self.sessions.pop(session, None) is None
            verdict = (SSH, "closed") if greeted else SURE
        else:
            text = self.sessions.get(session)
        return verdict, text

    def finding(self, text):
        """The Finding of an address as logged (bytes, or None), made if there is none; None for
        what no attacker can have.
        """
        address = text and canonical(text)
        return address and self.why.setdefault(address, Finding())


def canonical(text):
    """An address as logged (bytes) in its one spelling (RFC 5952), or None if it is none that an
    attacker can have.
    """
    if is_quad(text) and not text.startswith((b"0", b"127", b"169.254", b"22", b"23")):
        return text  # as most are, in a tenth of the time
    import ipaddress
    try:
        address = ipaddress.ip_address(text.decode())
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    if (address.is_loopback or address.is_unspecified or address.is_multicast
            or address.is_link_local):
        return None
    return address.compressed.encode()


def compile_rules():
    """All RULES as one pattern of a log line.

    Returns its fullmatch and, by the number of the last group that took part in a match, (verdict,
    rule, the numbers of the groups of address, session or pid, "message repeated N" and attempts;
    0 if there is none).
    """
    patterns, about = [], {}
    for program, daemon in DAEMONS:
        rules = []
        for number, (name, verdict, rule, pattern) in enumerate(RULES):
            if name == daemon:
                for short, long in FIELDS:
                    pattern = pattern.replace(short, long)
                rules.append(re.sub(rb"\(\?P<(\w+)>", b"(?P<\\1_%d>" % number, pattern))
                about[str(number)] = verdict, rule, daemon.decode()
        message = REPEATED.replace(b"DAEMON", daemon) % b"|".join(rules)
        patterns.append(b"%s: %s" % (program, message))
    patterns.append(rb"last message repeated (?P<again>\d{1,6}) times?")
    pattern = STAMP_AND_HOST + rb"(?:%s)\r?" % b"|".join(patterns)
    # "(?:x|)" says what "(?:x)?" says, and so spares a tenth of the time
    whole = re.compile(re.sub(rb"(?<!\\)\)\?", b"|)", pattern))

    def group(name):
        return whole.groupindex.get(name, 0)

    rules = {group("again"): (AGAIN, None, 0, 0, group("again"), 0)}
    for name, last in whole.groupindex.items():
        number = name.partition("_")[2]
        if number:
            verdict, rule, daemon = about[number]
            session = "pid" if verdict in (UNGREETED, BROKE) else "session_" + number
            rules[last] = (verdict, rule, group("ip_" + number), group(session), group(daemon),
                           group("n_" + number))
    return whole.fullmatch, rules


def compile_beginnings():
    """All BEGINNINGS as one pattern to search for; by first letters, which halves its time."""
    letters = {}
    for pattern in BEGINNINGS:
        letters.setdefault(re.escape(pattern[:1]), []).append(pattern[1:])
    groups = [b"%s(?:%s)" % (letter, b"|".join(rest)) for letter, rest in letters.items()]
    return re.compile(b": (?:%s|[0-9a-f]{16}[ :])" % b"|".join(groups), re.MULTILINE)


def is_attacker(finding, count):
    """Whether a Finding is a sure sign, or countable failures that add up to count. One attempt is
    often logged by several witnesses: of each kind, the witness who saw most tells the number.
    """
    counts = finding.counts or {}
    if finding.sure or LEFT in counts and not finding.delivered:
        return True
    most = {}
    for verdict in counts.keys() - {LEFT}:
        kind, _ = verdict
        most[kind] = max(counts[verdict], most.get(kind, 0))
    return sum(most.values()) >= count


def tell(options, night, old, table, left_out):
    """Report on stderr (--verbose), and by mail (--mail) if there is something new."""
    before = set(old)
    added = [entry for entry in table if entry not in before]
    text = report(options, night, added, left_out, before - {b""}, len(table))
    if options.verbose:
        to_stderr(text.encode())
    if options.mail and added and not options.dry_run:
        try:
            send(options.mail, letter(options, len(added), text))
        except OSError as error:
            night.status = complain("sendmail", error)


def report(options, night, added, left_out, before, after):
    """The nightly report (str). added: the new entries (list of bytes); before: the old ones (set);
    after: how many there are now.
    """
    rows = ["range: %s to %s" % night.range, "", "%-40s%13s%13s%13s" % (
        "log", "lines", "in range", "matched")]
    for tally in night.tallies:
        rows.append("%-40s%13d%13d%13d" % (
            visible(os.fsencode(tally.path)), tally.read, tally.in_range, tally.matched))
    if night.unread:
        rows.append("lines whose stamp could not be read: %d" % night.unread)
    width = max([15] + [len(entry) for entry in added + sorted(left_out) if len(entry) < 40])
    if added:
        rows += ["", "%-*s%8s  %s" % (width, "new", "hits", "why")]
    for entry in added:
        finding = night.why.get(entry)
        if finding and finding.hits:
            rows.append("%-*s%8d  %s" % (width, visible(entry[:200]), finding.hits, finding.rule))
            rows.append("    " + visible(finding.line[:400]))
        else:
            rows.append("%-*s%8s  pf's own table" % (width, visible(entry[:200]), "-"))
    if left_out:
        rows += ["", "%-*s  %s" % (width, "left out", "why")]
    for entry in sorted(left_out, key=sort_key):
        rows.append("%-*s  %s%s" % (width, visible(entry[:200]), left_out[entry],
                                    "; it was in the table" if entry in before else ""))
    rows += ["", "entries in %s: %d, before: %d" % (
        visible(os.fsencode(options.etcfile)), after, len(before)), ""]
    # no line that a mailer cuts, or takes for an end or a beginning
    return "\n".join(re.sub(r"^(?=\.|From )", " ", row[:990]) for row in rows)


def letter(options, added, text):
    """The report (str) as a message to --mail's address; added: how many. All of it is ASCII, and
    what it quotes of logs is indented, so that no line begins with a dot or "From ".
    """
    return "\n".join((
        "From: root", "To: " + options.mail,
        "Subject: logcheck on %s: %d added to %s" % (os.uname().nodename, added, options.table),
        "Date: " + time.strftime("%a, %d %b %Y %H:%M:%S %z"),
        "Auto-Submitted: auto-generated", "", text))


def send(address, message):
    """Give a message (str) to sendmail(8) for an address (str). Raises OSError."""
    import shutil
    command((shutil.which("sendmail") or "/usr/sbin/sendmail", "-oi", address), message.encode())


def write(fd, lines):
    """Write lines (list of bytes) to a file descriptor."""
    with open(fd, "wb", closefd=False) as out:
        out.write(b"".join([b"\n".join(lines), b"\n" if lines else b""]))


def visible(text):
    """Text from elsewhere (bytes) as str that no terminal or mail takes for a command."""
    return "".join(chr(byte) if 32 <= byte < 127 else "\\x%02x" % byte for byte in text)


def say(name, reason):
    """One line on stderr: `logcheck: NAME: REASON` (str)."""
    to_stderr(("logcheck: %s\n" % visible(os.fsencode("%s: %s" % (name, reason)))).encode())


def to_stderr(text):
    """Put text (bytes) on stderr. If that takes nothing, there is nobody to tell: work goes on."""
    with contextlib.suppress(OSError):
        os.write(2, text)


def complain(name, error):
    """Say what failed (str, exception). Returns the exit code for it, 1."""
    say(name, getattr(error, "strerror", None) or str(error) or type(error).__name__)
    return 1


def wrong_usage(reason):
    """Say it and end with exit code 2."""
    say("usage", reason + " (logcheck.py -h tells)")
    sys.exit(2)


def run():
    """main() with nothing inherited that could hurt, and no traceback. Returns the exit code."""
    try:
        if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        fd = os.open(os.devnull, os.O_RDWR)
        while fd <= 2:  # a closed stderr must not be the number of the next file opened
            fd = os.dup(fd)
        os.close(fd)
        return main(sys.argv[1:])
    except Exception as error:
        return complain("internal error", error)


if __name__ == "__main__":
    sys.exit(run())
