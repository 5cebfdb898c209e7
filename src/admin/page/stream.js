// The event stream, read with fetch: unlike EventSource it can carry a token. A stream that breaks
// is asked for again by itself.

const AGAIN_MS = 1000;

/** Events of a text that goes on: `take` gets pieces, `told` gets the name and data of each. */
export function reader(told) {
  let rest = "";
  return piece => {
    const events = (rest + piece).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      let [name, data] = ["message", ""];
      for (const line of event.split("\n")) {
        if (line.startsWith("event: ")) name = line.slice(7);
        else if (line.startsWith("data: ")) data += line.slice(6);
      }
      if (data) told(name, data);
    }
  };
}

/**
 * Listens until the page is closed. `headers` says what goes along each time; `lost` hears of every
 * end, with the status of a refusal or 0.
 */
export async function listen(path, headers, told, lost) {
  for (;;) {
    let status = 0;
    try {
      const answer = await fetch(path, { headers: headers(), cache: "no-store" });
      status = answer.ok ? 0 : answer.status;
      if (answer.ok) {
        const take = reader(told);
        const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let next = await pieces.read(); !next.done; next = await pieces.read())
          take(next.value);
      }
    } catch {
      // The same as an end: it is asked for again.
    }
    await lost(status);
    await new Promise(again => setTimeout(again, AGAIN_MS));
  }
}
