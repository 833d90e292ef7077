// The stack: the machine as a Lambda function, and its registration with a Restate Cloud environment.

import { App, CfnOutput, CfnParameter, Duration, RemovalPolicy, SecretValue, Stack } from "aws-cdk-lib";
import { Architecture, Code, Function, Runtime } from "aws-cdk-lib/aws-lambda";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { RestateCloudEnvironment, ServiceDeployer, type EnvironmentId } from "@restatedev/restate-cdk";
import { existsSync } from "node:fs";

const ASSET = "build/lambda.zip";

const NEEDED = {
  RESTATE_ENV_ID: "the id of your Restate Cloud environment, env_…",
  RESTATE_API_KEY: "an API key of that environment, with the role Admin",
  NOTIFICATIONS_URL: "the address of the notification service",
};

const problems = Object.entries(NEEDED)
  .filter(([name]) => !process.env[name])
  .map(([name, meaning]) => `${name} is not set. It is ${meaning}`);
if (!existsSync(ASSET)) problems.push(`${ASSET} does not exist. Build it: npm run build`);
if (problems.length) {
  console.error(problems.join("\n"));
  process.exit(2);
}

class {{Name}}Stack extends Stack {
  constructor(app: App, environmentId: EnvironmentId) {
    super(app, "{{Name}}");

    const machine = new Function(this, "{{Name}}", {
      runtime: Runtime.PYTHON_3_13,
      architecture: Architecture.ARM_64,
      handler: "handler.app",
      code: Code.fromAsset(ASSET),
      memorySize: 1769, // one whole CPU: a cold start is mostly the import of packages
      timeout: Duration.seconds(30), // of one step: while a machine waits, no function runs
      environment: { NOTIFICATIONS_URL: process.env.NOTIFICATIONS_URL! },
      // Work that began on a version ends on that version, so old ones are kept.
      currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN },
    });

    // The key is a parameter of the deployment: neither this code nor the template contains it.
    const apiKey = new CfnParameter(this, "RestateApiKey", { noEcho: true });
    const restate = new RestateCloudEnvironment(this, "Restate", {
      environmentId,
      apiKey: new Secret(this, "RestateApiKeySecret", { secretStringValue: SecretValue.cfnParameter(apiKey) }),
    });

    const deployer = new ServiceDeployer(this, "Deployer", { removalPolicy: RemovalPolicy.DESTROY });
    deployer.deployService("{{Name}}", machine.currentVersion, restate);

    new CfnOutput(this, "restateIngressUrl", { value: restate.ingressUrl });
  }
}

new {{Name}}Stack(new App(), process.env.RESTATE_ENV_ID as EnvironmentId);
