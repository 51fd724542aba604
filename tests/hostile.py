"""Texts that try to be more than text: what senders, deploy jobs, calendars, chat and people may write anywhere."""

from __future__ import annotations

from typing import Final

HTML: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "<a href=javascript:alert(1)>click</a>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<style>*{display:none}</style><base href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<form action=https://evil.example/><button>Acknowledge</button>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "]]><x/><!-- --><![CDATA[",
)
ADDRESSES: Final = (
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)//https://wiki.example/",
    'https://wiki.example/"onmouseover="alert(1)',
    "https://wiki.example/' onfocus='alert(1)' autofocus='",
    "data:text/html,<script>alert(1)</script>",
    "mailto:a@b.example?body=<script>alert(1)</script>",
    "\tjava\nscript:alert(1)",
)
MARKDOWN: Final = (
    "[x](javascript:alert(1)) ![x](https://evil.example/x.png) <https://evil.example/>",
    "`</code><script>alert(1)</script>` | a | b |\n|---|---|\n# not a heading\n- [ ] not a step",
    "[x]: javascript:alert(1)\n\n[x] <!--\n\n```\n</pre><script>alert(1)</script>",
)
TEMPLATES: Final = ("{{ 7 * 7 }}{% raw %}${alert(1)}", "{{ ''.__class__.__mro__ }} ${TOCSIN_ADMIN_TOKEN} {version}")
CHATS: Final = ("<!channel> <@U0ANA> <https://evil.example|here> @here *b* [red]rich[/] :bell:",)
TERMINALS: Final = (
    "\x1b[2J\x1b[1;1H\x1b]0;title\x07 \x1b[31mred",
    "\x9b2J \x90q\x9c \x07\x08\x08 line\rover\x0b\x0c\x7f",
    "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\ \x1b[6n",
)
UNSEEN: Final = ("\u202egnp.exe \u2066 \u2069 \u200b \ufeff", "\u2028 \u2029 a\u0000b")
FORMULAS: Final = ('=HYPERLINK("https://evil.example","x")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1")

TEXTS: Final = (*HTML, *ADDRESSES, *MARKDOWN, *TEMPLATES, *CHATS, *TERMINALS, *UNSEEN, *FORMULAS)
