-- deliver: a POST was made; the callback is delivered, waits for its next attempt, or is given up. What it says of the
-- receiver is noted: one that has failed for days, or is gone, is paused, and what would wait for it is a dead letter.
-- One script, because what was sent is recorded once, by whoever still holds the callback.
--
-- ARGV  1 attempts kept; then for each callback 10 values:
--       callback id · token · 'pending' | 'delivered' | 'blocked' | 'dead' · wait in ms · reason or ''
--       the attempt (JSON), or '' where none was made · receiver's id · its URL
--       what the receiver did: 'taken' | 'failed' | 'throttled' | 'gone' | '' for nothing that counts · what went wrong, in words
-- Reply for each 'done', 'paused' where this attempt paused its receiver, or 'fenced' where another sender holds it and
-- nothing was changed.

local MINUTE, DAY = 60000, 86400000
local FAILED_FOR = 5 * DAY       -- a receiver that has taken nothing for so long is paused
local SILENT_FOR = 2 * DAY       -- unless it was not called for so long in between
local RECEIVERS_KEPT = 10000     -- the least recently noted one goes
local kept = tonumber(ARGV[1])
local replies = {}

-- Receivers, as they are known to this script.

local any_paused = put('ZCARD', K.paused) > 0
local known_receivers = {}
local function receiver_of(id)
  local one = known_receivers[id]
  if not one then
    local seen, failing = unpack(fields(K.receiver .. id, 'seen', 'failing'), 1, 2)
    one = {seen = tonumber(seen or '') or 0, failing = tonumber(failing or ''),
      paused = any_paused and put('ZSCORE', K.paused, id)}
    known_receivers[id] = one
  end
  return one
end

local function keep_receiver(id, one, url, ...)
  one.seen = now
  put('HSET', K.receiver .. id, 'url', url, 'seen', whole(now), 'failing', one.failing and whole(one.failing) or '', ...)
  put('ZADD', K.receivers, whole(now), id)
  while put('ZCARD', K.receivers) > RECEIVERS_KEPT do
    local oldest = redis.call('ZPOPMIN', K.receivers)[1]
    if not put('ZSCORE', K.paused, oldest) then redis.call('DEL', K.receiver .. oldest) end
  end
end

local function pause(id, one, reason)
  if put('ZCARD', K.paused) >= RECEIVERS_KEPT then return false end
  one.paused = true
  put('HSET', K.receiver .. id, 'paused', whole(now), 'reason', reason)
  put('ZADD', K.paused, whole(now), id)
  return true
end

-- Returns whether the receiver is paused for it.
local function note_receiver(id, one, url, did, words)
  local stale = now - one.seen > MINUTE
  if did == 'taken' then
    if one.failing or stale then
      one.failing = nil
      keep_receiver(id, one, url, 'taken', whole(now), 'error', '')
    end
    return false
  end
  if not one.failing or now - one.seen > SILENT_FOR then
    one.failing, stale = now, true
  end
  if stale then keep_receiver(id, one, url, 'error', words) end
  local host = did == 'throttled' and string.match(url, '^%a+://([^/]+)')
  if host then put('ZADD', K.throttled, whole(now), string.lower(host)) end
  if one.paused then return false end
  if did == 'gone' then return pause(id, one, 'gone') end
  return now - one.failing >= FAILED_FOR and pause(id, one, 'failing')
end

-- The attempts before, as far as they can be read: a list of texts.
local function attempts_of(log)
  local texts = {}
  for _, text in ipairs(log and decoded(log) or {}) do
    if type(text) == 'string' then texts[#texts + 1] = text end
  end
  return texts
end

local function keep_attempt_of(id, known, attempt)
  if attempt == '' then return end
  local log = attempts_of(known[4])
  log[#log + 1] = attempt
  while #log > kept do table.remove(log, 1) end
  put('HSET', K.callback .. id, 'attempts', whole(natural(known[3], 0) + 1), 'log', cjson.encode(log))
end

local function record(id, token, status, wait, reason, attempt, receiver, url, did, words)
  local known = fields(K.callback .. id, 'lease', 'status', 'attempts', 'log')
  if known[1] ~= token or known[2] ~= 'pending' then return 'fenced' end
  local one = receiver_of(receiver)
  local pausing = did ~= '' and note_receiver(receiver, one, url, did, words)
  if status == 'pending' and one.paused then status, reason = 'dead', 'receiver_paused' end
  keep_attempt_of(id, known, attempt)
  put('HSET', K.callback .. id, 'lease', '', 'status', status, 'reason', reason)
  if status == 'pending' then
    put('ZADD', K.outbox, whole(now + tonumber(wait)), id)
  else
    put('ZREM', K.outbox, id)
    put('ZREM', K.callbacks_as .. 'pending', id)
    put('ZADD', K.callbacks_as .. status, whole(now), id)
  end
  tell(callback_change(id, status))
  return pausing and 'paused' or 'done'
end

for first = 2, #ARGV, 10 do
  replies[#replies + 1] = record(unpack(ARGV, first, first + 9))
end
publish_changes()
return replies
