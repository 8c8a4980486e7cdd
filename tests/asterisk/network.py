"""The other end of dialled calls, and the tones of its country."""

DIALLED = """
[dialled]
exten => network,1,Progress()
 same => n,ExecIf($["${TONES}" != ""]?Playtones(${TONES}))
 same => n,Wait(${TAIL})
 same => n,StopPlaytones()
 same => n,ExecIf($["${SAY}" != ""]?Playback(${SAY},noanswer))
 same => n,Wait(1.5)
 same => n,GotoIf($["${GREETING}" = ""]?over)
 same => n,Answer()
 same => n,Playback(${GREETING})
 same => n,Wait(2.5)
 same => n(over),Hangup()
"""
"""The other end of a dialled call: a network before the answer, perhaps a greeting after it."""

RUSSIAN_TONES = """[general]
country = ru
[ru]
description = Russia
dial = 425
ring = 425/1000,0/4000
busy = 425/350,0/350
congestion = 425/175,0/175
info = 950/330,1400/330,1800/330,0/1000
"""
"""From the `ru` zone of Asterisk's own indications.conf; without a description there is no zone."""
