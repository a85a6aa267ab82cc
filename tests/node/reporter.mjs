// One JSON object per line and test, for tests/node_client.py.

export default async function* report(source) {
  for await (const event of source) {
    if (event.type === "test:pass" || event.type === "test:fail") {
      const { name, details, file } = event.data;
      const error = details.error?.cause ?? details.error;
      yield JSON.stringify({
        name,
        file,
        passed: event.type === "test:pass",
        milliseconds: details.duration_ms,
        error: error ? String(error.stack ?? error) : null,
      }) + "\n";
    } else if (event.type === "test:stderr" || event.type === "test:stdout") {
      yield JSON.stringify({ output: event.data.message }) + "\n";
    }
  }
}
