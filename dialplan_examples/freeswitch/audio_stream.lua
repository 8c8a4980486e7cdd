-- FreeSWITCH to ruasr_tel by mod_audio_stream, from a Lua dialplan script: scripts/audio_stream.lua.
--
--   <action application="lua" data="audio_stream.lua"/>
--
-- Streams the caller's audio, waits for the first final, and leaves its text in ${ruasr_text}.
-- Each text that ruasr_tel sends is an event mod_audio_stream::json with the message as its body;
-- with mod_audio_fork it is mod_audio_fork::transcription, and the body is `data` alone.

local SERVER = "ws://127.0.0.1:2701/"
local WAIT_S = 15

local json = freeswitch.JSON() -- mod_lua's own

session:answer()
local uuid = session:get_uuid()
local events = freeswitch.EventConsumer("CUSTOM", "mod_audio_stream::json")
local api = freeswitch.API()

-- Rate and channels are said twice: the stream itself does not tell them.
local url = SERVER .. "?sample_rate=8k&channels=1&call_id=" .. uuid
api:executeString("uuid_audio_stream " .. uuid .. " start " .. url .. " mono 8k")

local text = nil
local deadline = os.time() + WAIT_S
while session:ready() and text == nil and os.time() < deadline do
  session:sleep(20)
  local event = events:pop(0)
  while event do
    if event:getHeader("Unique-ID") == uuid then
      local message = json:decode(event:getBody() or "") -- nil for what is no JSON
      local data = type(message) == "table" and message.type == "transcription" and message.data
      if type(data) == "table" and data.is_final then
        text = data.text
      end
    end
    event = events:pop(0)
  end
end

api:executeString("uuid_audio_stream " .. uuid .. " stop")
session:setVariable("ruasr_text", text or "")
freeswitch.consoleLog("info", "ruasr_tel heard: " .. (text or "nothing") .. "\n")
