-- measure: numbers that a process has counted are added to those of all the others, and to the present minute and hour.
-- One script, because a repetition must not count twice. Whatever a fault makes up, there are so many fields at the most.
--
-- ARGV  1 the process · 2 its sequence · 3 how long that is remembered, in ms · 4 most fields
--       5 … 7 how many were received, finished, failed · then fields and what is added to each
-- Reply 1, or 0 where this sequence was added before.

if put('SET', K.measured .. ARGV[1], ARGV[2], 'PX', ARGV[3], 'GET') == ARGV[2] then return 0 end
local room = tonumber(ARGV[4]) - put('HLEN', K.metrics)
for place = 8, #ARGV, 2 do
  local field, by = ARGV[place], ARGV[place + 1]
  local known = redis.call('HEXISTS', K.metrics, field) == 1
  if known or room > 0 then count(K.metrics, field, by) end
  if not known then room = room - 1 end
end

-- What is open is a matter of the moment: the last look at a minute, or an hour, stays.
local MINUTE, HOUR, DAY = 60000, 3600000, 86400000
local open = whole(put('ZCOUNT', K.open, '(0', '+inf'))
local function note_pulse(span, part, kept)
  local key = K.pulse .. whole(math.floor(now / span) * span) .. (span == DAY and 'd' or 'h')
  local at = whole(math.floor(now % span / part))
  for place, name in ipairs({'received', 'finished', 'failed'}) do
    if ARGV[4 + place] ~= '0' then count(key, at .. ' ' .. name, ARGV[4 + place]) end
  end
  put('HSET', key, at .. ' open', open)
  redis.call('PEXPIRE', key, whole(kept))
end
note_pulse(HOUR, MINUTE, 3 * HOUR)
note_pulse(DAY, HOUR, 9 * DAY)
return 1
