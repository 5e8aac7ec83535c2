-- secrets: notes which secrets of sources there are, and tells since when. They stand here as keyed hashes, never themselves.
-- One script, because a secret that two web processes see for the first time has one age.
--
-- ARGV  1 for how many ms one that nobody has is remembered · 2 under how many keys each was hashed, n
--       then n hashes for each secret, that under the newest key first
-- Reply for each secret, in ms, when it was first seen

local remembered, n = tonumber(ARGV[1]), tonumber(ARGV[2])
local since = {}
local known = put('HGETALL', K.secrets)
for place = 1, #known, 2 do
  local first, last = string.match(known[place + 1], '^(%d+) (%d+)$')
  if first and now - tonumber(last) <= remembered then
    since[known[place]] = tonumber(first)
  else
    redis.call('HDEL', K.secrets, known[place])
  end
end
local replies = {}
for place = 3, #ARGV, n do
  local first = now
  for key = place, place + n - 1 do first = math.min(first, since[ARGV[key]] or now) end
  redis.call('HSET', K.secrets, ARGV[place], whole(first) .. ' ' .. whole(now))
  replies[#replies + 1] = whole(first)
end
return replies
