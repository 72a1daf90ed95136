"""Start-up files that well-known tools write into every environment they make, and claim in no RECORD.

They are known by the exact SHA-256 of their bytes and never by name: one byte changed, and the file is unclaimed code.

How each digest was obtained: for virtualenv, from ``virtualenv/create/via_global_ref/_virtualenv.py`` in the wheels of the
releases named beside it (55 releases from 20.0 to 21.15 were looked into; a release in between has one of its neighbours'); for
uv, which carries a text of its own, from an environment that ``uv venv`` of each named release made. The ``.pth`` is the 18
bytes ``import _virtualenv``, the same for all of them.
"""

from __future__ import annotations

from typing import Final

__all__ = ["KNOWN_HOOKS", "SEED_HOOKS", "SEED_MODULES"]

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

#: What that hook imports, ``_distutils_hack/override.py`` (the first one here) and ``_distutils_hack/__init__.py``; from the wheels
#: of 85 releases, 49.3 to 84.2.
SEED_MODULES: Final = {
    "12efecf8d17a5486780aa774b5b6c0e70b56932d8864f35df1eb7a18bb759b3a": "setuptools 49 and newer",
    "870c6f4869d409d7434c7ef7b99175568095b5541ac621538e5d8145fd01194f": "setuptools 49.3.2 to 49.6.0",
    "870913c1cb82e84d190b5b700c4cc71af16ace684b88e19b5f6149af7b833435": "setuptools 50.0.0",
    "9bc5b111a0a9cfbe403c5ca562f18a715571dfc12f7577a5123a4a32427112dc": "setuptools 50.0.3",
    "ccb3a83ef896531388f58fec08c15ee7998fa0a36b83196c374b74a7ca93022f": "setuptools 50.1.0",
    "c05b8045c9a51ed915db41df44195068c3d8ee1431f93104b670695decac8b02": "setuptools 50.2.0 to 54.2.0",
    "322f93bf23a7b8ccd421cfeeb68129e66dccfc363a40b2d2917aa0e9ef30848f": "setuptools 56.0.0",
    "5f7454880e8a04fa0499ca3f0a3002ca5b7241b15119552965101b4a43c6c0cb": "setuptools 56.1.0 to 59.2.0",
    "4c2531daa12158dcabb8bce3e03386640407dfd866d9f27fc0377dd2894d3a6a": "setuptools 59.3.0 to 59.8.0",
    "7688a23bb369b867ca503635e94c625981671c1e01adf621da6c59d2d07d5114": "setuptools 60.0.0 to 60.0.2",
    "f0016db17603c3430ca7a444e28b1577445d9da7f7f32f746ed6820c3442a07d": "setuptools 60.0.3 to 60.0.5",
    "fcc99a0fb405120ec879fd8f8d35f974134d4c88e5ec814d42cbb06442b22f17": "setuptools 60.1.1",
    "600ff3472bad5c46ee6438a9516e844282c2e8fb946ef62c1b2060f9a2fe3c2b": "setuptools 60.2.0",
    "52c30c27c38334fa426ba8d8784f7bb5e15df8511387ec0d0fbca8772fa224c1": "setuptools 60.3.1",
    "e4a51d09fa11eb20b12a2861f82c5c5587ae4d3d096cf2d3246109b60991818d": "setuptools 60.4.0",
    "4513b154dbf2fa7776a1d0812e6d4396770a8e6f286000d30bf6694ff3294dd5": "setuptools 60.5.0",
    "06c27ded9e7642a2d5d5ea432989050e91987b2d00cfdc5c0477f23cffda06b4": "setuptools 60.6.0 to 60.8.2",
    "228181f268b46192561e7b9a3c57ff31483e10b2584f6494e5256feb86d5e674": "setuptools 60.9.0",
    "026d425507ed93f30700abdf25056940cc15c7796b01b2863e1288520c1ac036": "setuptools 60.9.3 to 62.3.4",
    "4d27a48545b57dd137ae35376fcf326d2064271084a487960686f8704b94de4a": "setuptools 62.6.0 to 67.8.0",
    "46849a60a7cc85189cf6b5ac62b3f135004862ce6a96540a81c95ef6fbc4dc3e": "setuptools 68.0.0 to 69.0.3",
    "4bf5b0bc8f8af7ce7096e96f7167cf4f776f2cc0983f5c8f876ca780b3a67781": "setuptools 69.1.1 to 70.1.1",
    "1542e30b6d07156f447ab4bcaec4a3a330feb93167d5dcaf548f6d6b2cdb852c": "setuptools 70.3.0 to 72.2.0",
    "9b737c2ccce2dad2e896acfb6285c708419121078c00231a5439a7647cdd72e4": "setuptools 73.0.1",
    "a325c4f62f92a19daaa558088e4339afd78e14df40c20a7d51c9dc3a714dc237": "setuptools 74.0.0 to 75.3.4",
    "df81e6bcba34ee3e3952f776551fb669143b9490fdd6c4caeb32609f97e985b4": "setuptools 75.4.0 to 83.0.0",
    "ced72e54431ecf2d8d7dbd8a1e27724f1b171af3ca1503c304bf11c59a7fe861": "setuptools 84.0.0 to 84.2.1",
}
