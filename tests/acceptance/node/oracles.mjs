// Official libraries sign, or say what they think of our signature. Questions come in as JSON, answers go out as JSON.
import { readFileSync } from "node:fs";
import { Webhooks } from "@octokit/webhooks";
import square from "square";

const { github, square: squared } = JSON.parse(readFileSync(0, "utf8"));
const answer = {
  github: await new Webhooks({ secret: github.secret }).sign(github.body),
  square: await square.WebhooksHelper.verifySignature({
    requestBody: squared.body,
    signatureHeader: squared.signature,
    signatureKey: squared.secret,
    notificationUrl: squared.url,
  }),
};
process.stdout.write(JSON.stringify(answer));
