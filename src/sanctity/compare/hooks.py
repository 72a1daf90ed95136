"""Start-up files that well-known tools write into every environment they make, and claim in no RECORD.

They are known by the exact SHA-256 of their bytes and never by name: one byte changed, and the file is unclaimed code.

How each digest was obtained: for virtualenv, from ``virtualenv/create/via_global_ref/_virtualenv.py`` in the wheels of the
releases named beside it (55 releases from 20.0 to 21.15 were looked into; a release in between has one of its neighbours'); for
uv, which carries a text of its own, from an environment that ``uv venv`` of each named release made. The ``.pth`` is the 18
bytes ``import _virtualenv``, the same for all of them.
"""

from __future__ import annotations

from typing import Final

__all__ = ["KNOWN_HOOKS", "SEED_HOOKS"]

#: SHA-256 in hex, and who wrote it.
KNOWN_HOOKS: Final = {
    # _virtualenv.pth
    "69ac3d8f27e679c81b94ab30b3b56e9cd138219b1ba94a1fa3606d5a76a1433d": "virtualenv or uv",
    # _virtualenv.py of virtualenv
    "095a1099733d28c837bca584f5fb3eb3724e357f8846c015083dc6e9a7b985f3": "virtualenv 20.0.8",
    "82944bb74841efbcfdc3539e7d60df63f43cc023041eb183abbd56f44e071b45": "virtualenv 20.0.10",
    "e3db5fe06ab41ca9b95dd6463b83836787028a1b55562cc383803bb83001a45c": "virtualenv 20.0.15 to 20.0.26",
    "684b8c07932ba4a84ac2e5ae9afe49ef04e92bac3d8d4191d455cf09d093e5fc": "virtualenv 20.0.31 to 20.13.3",
    "ce57d5e0d9b5d7356cb42da7450ba8f9359bdf693e335f4c921626943c77e64d": "virtualenv 20.13.4 to 20.16",
    "c9199315871b11b12df226f890a38e66e63191e1adbfb11a66e6861151b33fca": "virtualenv 20.17 to 20.21",
    "f4dfaeb9efc1614890cfa94ed15bbe9b2ee15fbe76d569ef5e435e93e4987dc7": "virtualenv 20.22 to 20.23.0",
    "119e4eb9c1a39e6ffd220840844bd326fa1bd3acf2f1c9fa0612949aedc228a5": "virtualenv 20.23.1",
    "0aeb86546345c1d0fada097536e35525714d5cdbcc2d8eb3f9912a955044fcff": "virtualenv 20.24 to 20.25.0",
    "0f20351ea7e90039c46d3fabdef991f28b1e3ff33eb13ee6f0d5cd21ea0e8b14": "virtualenv 20.25.3 to 20.35.3",
    "bec6155ff7bfc88f8e79e481f27fd7ee0a3b40eeca9bfeb41f4c4b997b2f8100": "virtualenv 20.35.4 to 20.36",
    "02943e192823d75212f206e1f2991ac572119882683a95dfbb7a1b913d7b14b5": "virtualenv 20.38 to 21.0",
    "e8c426ce260f866254ff35cefedc8b3efbd6d1446d99d7a4cdeb0095f98a8b8f": "virtualenv 21.1 to 21.3",
    "460589e83387d4dfe5fd84d41c5f6979599f5cd080983d73c832549161c80435": "virtualenv 21.4 to 21.6",
    "0278334cdcfab4c746b4416fbd5c2b6e7da937c81e132397d62c361d404ebe0e": "virtualenv 21.7 to 21.15",
    # _virtualenv.py of uv
    "ee52b2e2e720a40885a6b4b90c40e28e5c70e550af74d5efd169eaa5db2a6f6f": "uv 0.1.24 to 0.2.37",
    "e3e10c8a19a62a49928c139b8e6824eac92dcdda7639953bcd10921011cbbdff": "uv 0.3.5",
    "6cf30c56faf2a55228914dbbd17f8088ed371ebb08f5e7fa6fd931f913fcaf1d": "uv 0.4.30 to 0.10.12",
    "cfb3db86aaa53bb62b5ff764970bec2d71c9228590a0ebec57f6ec926cc0bf1a": "uv 0.11.29 to 0.12.6",
}

#: The ``distutils-precedence.pth`` of setuptools, the one hook that a seed may bring; from the wheels of 20 releases, 49.6 to 84.2.
SEED_HOOKS: Final = {
    "f1701c42efb4c8e791fbb314ed0843c7f83744e70167d2475e752889b7862d8b": "setuptools 49",
    "7ea7ffef3fe2a117ee12c68ed6553617f0d7fd2f0590257c25c484959a3b7373": "setuptools 50 to 59",
    "2638ce9e2500e572a5e0de7faed6661eb569d1b696fcba07b0dd223da5f5d224": "setuptools 60 and newer",
}
