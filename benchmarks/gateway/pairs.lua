-- Rotates the pairs of a world: every request another token and service. Arguments: file of lines "token service", operation.
local requests, number, count = {}, 0, 0
function init(args)
  for line in io.lines(args[1]) do
    local token, service = line:match("(%S+) (%S+)")
    local headers = { ["Authorization"] = "Bearer " .. token, ["X-Purpose-Code"] = "bench" }
    count = count + 1
    requests[count] = wrk.format("GET", "/gw/" .. service .. "/v1/" .. args[2] .. "/" .. (100000 + count), headers)
  end
end
function request()
  number = number % count + 1
  return requests[number]
end
