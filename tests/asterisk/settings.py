"""What the Asterisk of the suite is told: our examples, callers; it listens on loopback alone."""

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

import yaml

from tests.asterisk.network import DIALLED, RUSSIAN_TONES

EXAMPLES = Path(__file__).parents[2] / "dialplan_examples/asterisk"

MODULES_DIR = "usr/lib/x86_64-linux-gnu/asterisk/modules"

MODULES = [
    "res_sorcery_config",
    "res_sorcery_memory",
    "res_sorcery_astdb",
    "res_timing_timerfd",
    "res_crypto",
    "codec_ulaw",
    "codec_alaw",
    "codec_a_mu",
    "codec_gsm",
    "codec_resample",
    "format_wav",
    "format_pcm",
    "format_sln",
    "func_callerid",
    "func_channel",
    "func_global",
    "func_hangupcause",
    "func_logic",
    "func_math",
    "func_strings",
    "func_timeout",
    "func_uri",
    "func_uuid",
    "res_curl",
    "func_curl",
    "app_confbridge",
    "app_dial",
    "app_queue",
    "app_echo",
    "app_exec",
    "app_originate",
    "app_playback",
    "app_playtones",
    "app_senddtmf",
    "app_stack",
    "app_verbose",
    "bridge_simple",
    "bridge_softmix",
    "bridge_holding",
    "bridge_builtin_features",
    "chan_bridge_media",
    "res_audiosocket",
    "app_audiosocket",
    "chan_audiosocket",
    "res_http_websocket",
    "res_websocket_client",
    "chan_websocket",
    "res_pjproject",
    "res_rtp_asterisk",
    "res_rtp_multicast",
    "chan_rtp",
    "res_stasis",
    "res_stasis_answer",
    "res_stasis_device_state",
    "res_stasis_playback",
    "res_stasis_recording",
    "res_stasis_snoop",
    "app_stasis",
    "res_ari",
    "res_ari_model",
    "res_ari_applications",
    "res_ari_asterisk",
    "res_ari_bridges",
    "res_ari_channels",
    "res_ari_endpoints",
    "res_ari_events",
    "res_ari_playbacks",
    "res_agi",
    "res_speech",
    "app_speech_utils",
    "res_aeap",
    "res_speech_aeap",
    "pbx_config",
]

CALLERS = """
[queue]
exten => 9191,1,Stasis(ruasr)
 same => n,Queue(agents,,,,20)
 same => n,Hangup()
exten => 9192,1,Stasis(ruasr)
 same => n,Dial(Local/forwarder@callers/n,,gt)
 same => n,Hangup()
exten => 9193,1,Stasis(ruasr)
 same => n,Dial(Local/expert@callers/n,,g)
 same => n,Hangup()
[callers]
exten => forwarder,1,Answer()
 same => n,Wait(10)
 same => n,Playback(ru_RU_f_IvrvoiceRU/agent-loggedoff)
 same => n,Wait(1)
 same => n,Hangup()
exten => expert,1,Answer()
 same => n,Wait(12)
 same => n,Playback(ru_RU_f_IvrvoiceRU/pbx-invalid)
 same => n,Wait(1.5)
 same => n,Hangup()
exten => patient,1,Answer()
 same => n,Wait(6)
 same => n,Playback(${PROMPT})
 same => n,Wait(${TAIL})
 same => n,Hangup()
exten => quick,1,Stasis(ruasr)
 same => n,Wait(1)
 same => n,Answer()
 same => n,Wait(3)
 same => n,Playback(ru_RU_f_IvrvoiceRU/pbx-invalid)
 same => n,Wait(1.5)
 same => n,Hangup()
exten => slow,1,Stasis(ruasr)
 same => n,Ringing()
 same => n,Wait(60)
exten => speak,1,Answer()
 same => n,Wait(0.3)
 same => n,Playback(${PROMPT})
 same => n,Wait(${TAIL})
 same => n,Hangup()
exten => later,1,Answer()
 same => n,Wait(1)
 same => n,Playback(${PROMPT})
 same => n,Wait(${TAIL})
 same => n,Hangup()
exten => callee,1,Answer()
 same => n,Wait(4)
 same => n,Playback(ru_RU_f_IvrvoiceRU/pbx-invalid)
 same => n,Wait(1.5)
 same => n,Hangup()
exten => keys,1,Answer()
 same => n,Wait(1)
 same => n,SendDTMF(12#,100,160)
 same => n,Wait(${TAIL})
 same => n,Hangup()
exten => press,1,Answer()
 same => n,Wait(0.3)
 same => n,Playback(${PROMPT})
 same => n,SendDTMF(12#,100,160)
 same => n,Playback(${PROMPT})
 same => n,Wait(${TAIL})
 same => n,Hangup()
"""

RULES = """
[rules]
exten => audiosocket,1,Answer()
 same => n,Set(CALL_UUID=${IF($["${NAME}" = ""]?${UUID()}:${NAME})})
 same => n,Set(TOLD=${CURL(http://127.0.0.1:49153/v1/calls/${CALL_UUID},profile=${RULE})})
 same => n,Dial(AudioSocket/127.0.0.1:9092/${CALL_UUID}/c(slin),10,g)
 same => n,Verbose(1,handed back: ${DIALSTATUS} ${HANGUPCAUSE})
 same => n,Hangup()
exten => websocket,1,Answer()
 same => n,Set(__RUASR_CALL_ID=${IF($["${NAME}" = ""]?${UUID()}:${NAME})})
 same => n,Set(__RUASR_PROFILE=${RULE})
 same => n,Dial(WebSocket/ruasr/c(slin)f(json)v(uuid=${RUASR_CALL_ID}),10,g)
 same => n,Verbose(1,handed back: ${DIALSTATUS} ${HANGUPCAUSE})
 same => n,Hangup()
exten => speech,1,Answer()
 same => n,SpeechCreate(${ENGINE})
 same => n,GotoIf($["${ERROR}" = "1"]?refused)
 same => n,Set(CALL_UUID=${UUID()})
 same => n,Set(SPEECH_ENGINE(call_id)=${CALL_UUID})
 same => n,SpeechStart()
 same => n,SpeechBackground(beep,10,p)
 same => n,Verbose(1,heard: ${SPEECH_TEXT(0)})
 same => n,SpeechDestroy()
 same => n,Hangup()
 same => n(refused),Verbose(1,refused)
 same => n,Hangup()
"""
"""Our examples once more, with a profile (a name, an engine) that the caller chooses."""

SECOND_MODEL = "ru-mini-transducer-8k"
ENGINES = f"""
[chosen]
type = client
url = ws://127.0.0.1:9094
protocol = speech_to_text
codecs = !all,slin
@language = ru_RU
@profile = yesno
@model = {SECOND_MODEL}

[closed]
type = client
url = ws://127.0.0.1:9094
protocol = speech_to_text
codecs = !all,ulaw
@phrases = регистрация оператора удалена,на данный момент все линии заняты
@closed = 1

[foreign]
type = client
url = ws://127.0.0.1:9094
protocol = speech_to_text
codecs = !all,slin
@language = en-US

[unknown]
type = client
url = ws://127.0.0.1:9094
protocol = speech_to_text
codecs = !all,slin
@model = none

[wide]
type = client
url = ws://127.0.0.1:9094
protocol = speech_to_text
codecs = !all,gsm
"""
"""Clients of aeap.conf: settings that choose, and three that are refused."""

INCLUDED = {
    "audiosocket.conf": "ruasr-audiosocket",
    "speech_aeap.conf": "ruasr-speech-aeap",
    "speech_vosk.conf": "ruasr-speech-vosk",
    "chan_websocket.conf": "ruasr-websocket",
    "eagi.conf": "ruasr-eagi",
    "ari.conf": "ruasr-ari",
}
"""Our examples of extensions.conf, with the context that phones dial into."""

DEFAULT_PORTS = {
    "audiosocket": 9092,
    "asterisk_ws": 9093,
    "aeap": 9094,
    "vosk_ws": 2700,
    "rest": 49153,
    "ari": 9095,
}


def files(
    folder: str, ami: int, http: int, ports: Mapping[str, int], modules: Sequence[str] = ()
) -> dict[str, str]:
    """Return every configuration file by name.

    Args:
        folder: where they will lie, as Asterisk sees it.
        ami: port of the manager.
        http: port of ARI and of WebSocket/INCOMING.
        ports: of our doors by name; they take the place of the defaults in our examples.
        modules: to load besides `MODULES`.
    """
    empty = ("acl", "ccss", "udptl", "pjproject", "stasis", "musiconhold", "cdr", "cel")
    examples = {
        f"ruasr_{name}": _moved((EXAMPLES / name).read_text("utf-8"), ports) for name in INCLUDED
    }
    includes = "\n".join(f"#include ruasr_{name}" for name in INCLUDED)
    contexts = "\n".join(f"include => {context}" for context in INCLUDED.values())
    return examples | {
        **{f"{name}.conf": "[general]\n" for name in empty},
        "asterisk.conf": _asterisk(folder),
        "modules.conf": "[modules]\nautoload = no\n"
        + "".join(f"load = {module}.so\n" for module in (*MODULES, *modules)),
        "logger.conf": "[logfiles]\nfull => notice,warning,error,verbose\n",
        "indications.conf": RUSSIAN_TONES,
        "rtp.conf": "[general]\nrtpstart = 24000\nrtpend = 24999\n",
        "http.conf": f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {http}\n",
        "ari.conf": pasted("ari.conf", "Asterisk's own ari.conf"),
        "manager.conf": f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nport = {ami}\n"
        "[suite]\nsecret = suite\nread = all\nwrite = all\n",
        "features.conf": "[general]\n[featuremap]\natxfer => *2\n",
        "confbridge.conf": "[general]\n",
        "queues.conf": "[agents]\nstrategy = ringall\nringinuse = yes\n"
        "member => Local/slow@callers/n\nmember => Local/quick@callers/n\n",
        "chan_websocket.conf": "[global]\ntype = global\n",
        "aeap.conf": _moved((EXAMPLES / "aeap.conf").read_text("utf-8") + ENGINES, ports),
        "websocket_client.conf": _moved(
            (EXAMPLES / "websocket_client.conf").read_text("utf-8"), ports
        ),
        "res_speech_vosk.conf": _moved(
            (EXAMPLES / "res_speech_vosk.conf").read_text("utf-8"), ports
        ),
        "extensions.conf": "[general]\nstatic = yes\n[suite]\ninclude => rules\ninclude => queue\n"
        f"{contexts}\n{includes}\n{CALLERS}{DIALLED}{_moved(RULES, ports)}",
    }


PROFILES: dict[str, object] = {
    "question": {"end": {"after_final": True, "after_s": 15}},
    "word": {"end": {"phrases": ["удалена", "оператора", "регистрация"]}},
    "time": {"end": {"after_s": 1.5}},
    "second": {"model": SECOND_MODEL},
    "outbound": {"progress": {"enabled": True}},
}
"""Rules that hand a call back, one that brings another model, one that follows call progress."""


def configuration(
    ports: Mapping[str, int],
    asterisk_http: int,
    folder: Path,
    webhook: str,
    ari: Mapping[str, object],
) -> dict[str, dict[str, object]]:
    """Return what `ruasr.yaml` says.

    Args:
        ports: of the doors by name.
        asterisk_http: port of ARI and of WebSocket/INCOMING.
        folder: where the server keeps what it keeps.
        webhook: who is told of every call.
        ari: further settings of the door for ARI.
    """
    doors: dict[str, dict[str, object]] = {
        door: {"enabled": True, "port": port} for door, port in ports.items()
    }
    doors["asterisk_ws"]["asterisks"] = {"pbx": {"url": f"ws://127.0.0.1:{asterisk_http}"}}
    doors["ari"] |= yaml.safe_load(pasted("ari.conf", "ruasr.yaml"))["doors"]["ari"]
    doors["ari"] |= {
        "url": f"http://127.0.0.1:{asterisk_http}/ari",
        "format": "slin",
        "reconnect_max_s": 0.5,
        **ari,
    }
    return {
        "doors": {**doors},
        "log": {"format": "json", "level": "debug"},
        "sinks": {"jsonl": {"path": "/dev/stdout"}},
        "store": {"url": f"sqlite:///{folder}/ruasr.db"},
        "recordings": {"dir": str(folder / "recordings")},
        "control": {"socket": str(folder / "control.sock")},
        "fetch": {"allow_cidrs": ["127.0.0.0/8"]},
        "webhooks": {"call_url": webhook},
        "calls": {"drain_s": 0},
        "profiles": PROFILES,
    }


def pasted(example: str, where: str) -> str:
    """Return what an example's comments say to put elsewhere: the lines below `; In WHERE:`.

    Args:
        example: name of its file.
        where: what follows the word In.
    """
    lines = iter((EXAMPLES / example).read_text("utf-8").splitlines())
    assert f"; In {where}:" in lines  # leaves what follows
    return "\n".join(line[4:] for line in takewhile(lambda line: line.startswith(";   "), lines))


def _moved(text: str, ports: Mapping[str, int]) -> str:
    """Return an example with our doors' ports instead of their defaults."""
    default = {f"127.0.0.1:{DEFAULT_PORTS[door]}": f"127.0.0.1:{at}" for door, at in ports.items()}
    return re.sub(r"127\.0\.0\.1:\d+", lambda found: default.get(found[0], found[0]), text)


def _asterisk(folder: str) -> str:
    return f"""[directories]
astetcdir => {folder}/etc
astmoddir => {folder}/modules
astvarlibdir => {folder}/lib
astdbdir => {folder}/lib
astkeydir => {folder}/lib
astdatadir => /usr/share/asterisk
astagidir => {folder}/agi
astspooldir => {folder}/spool
astrundir => {folder}/run
astlogdir => {folder}/log
[options]
verbose = 4
nocolor = yes
dontwarn = yes
defaultlanguage = ru
transmit_silence = yes
"""
