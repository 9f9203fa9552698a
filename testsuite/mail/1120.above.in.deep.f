Received: from CALLER by myhost.test.ex with local (Exim x.yz)
	(envelope-from <CALLER@test.ex>)
	id 10HmbI-000000005vi-0000
	for a@above.ex;
	Tue, 2 Mar 1999 09:44:33 +0000
Subject: room above
Message-Id: <E10HmbI-000000005vi-0000@myhost.test.ex>
From: CALLER_NAME <CALLER@test.ex>
Date: Tue, 2 Mar 1999 09:44:33 +0000

Body
