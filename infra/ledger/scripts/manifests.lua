-- manifests: what workers handle: those that live, by Redis's clock, and those of the last minutes in which any lived.
-- Reply {{an entry (JSON) that was told in those minutes, …}, worker, manifest (JSON), …}

local MINUTES = 10 * 60000
local newest, entries = 0, {}
for _, text in ipairs(put('HVALS', K.told)) do
  local entry = decoded(text)
  local at = entry and tonumber(entry.at)
  if at then
    newest = math.max(newest, at)
    entries[#entries + 1] = {text, at}
  end
end
local told = {}
for _, entry in ipairs(entries) do
  if entry[2] > newest - MINUTES then told[#told + 1] = entry[1] end
end

local reply = {told}
for _, worker in ipairs(put('ZRANGE', K.leases, '(' .. whole(now), '+inf', 'BYSCORE')) do
  local manifest = fields(K.held .. worker, 'manifest')[1]
  if manifest then
    reply[#reply + 1] = worker
    reply[#reply + 1] = manifest
  end
end
return reply
